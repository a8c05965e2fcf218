! The function upper as a shared object.
function upper(args, size, res) result(length) bind(C, name="upper")
  use iso_c_binding
  implicit none
  type(c_ptr), value :: args, res
  integer(c_int32_t), value :: size
  integer(c_int32_t) :: length
  integer(c_int8_t), pointer :: in(:), out(:)

  call c_f_pointer(args, in, [size])
  call c_f_pointer(res, out, [size])
  where (in >= ichar('a') .and. in <= ichar('z'))
    out = in - 32_c_int8_t
  elsewhere
    out = in
  end where
  length = size
end function
