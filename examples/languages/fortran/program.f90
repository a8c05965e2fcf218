! The function upper as a program.
program main
  use iso_fortran_env
  implicit none
  character :: c
  integer :: status, in, out

  open(newunit=in, file="/dev/stdin", access="stream", form="unformatted", action="read")
  open(newunit=out, file="/dev/stdout", access="stream", form="unformatted", action="write")
  do
    read(in, iostat=status) c
    if (status == iostat_end) exit
    if (status /= 0) error stop "the input cannot be read"
    if (c >= 'a' .and. c <= 'z') c = achar(iachar(c) - 32)
    write(out) c
  end do
end program
