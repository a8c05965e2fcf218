! The module for Fortran: leases, calls, and says what goes wrong.
program test
  use rfaas
  implicit none
  integer, parameter :: count = 100, large = 200000
  character(*, c_char), parameter :: echo = "echo" // c_null_char
  integer(c_size_t), parameter :: none = 0
  character(:, c_char), allocatable, target :: code
  character(1000) :: argument
  type(c_ptr) :: cluster, pool, calls(2), memory
  type(rfaas_order) :: order
  type(rfaas_item) :: items(count)
  real(c_double), target :: in(count), out(count)
  real(c_double), pointer :: registered(:)
  integer(c_size_t) :: n, at
  integer :: i, status

  call get_command_argument(1, argument)
  code = trim(argument) // c_null_char
  call check(rfaas_connect(cluster=cluster) == rfaas_ok)
  order%code = c_loc(code)
  order%workers = 2
  order%payload_bytes = 16 * 1024**2
  call check(rfaas_lease(cluster, order, pool) == rfaas_ok)
  in = [(i / 7d0, i = 1, count)]
  out = 0
  status = rfaas_invoke(pool, echo, c_loc(in), c_sizeof(in), c_loc(out), c_sizeof(out), n, rfaas_forever)
  call check(status == rfaas_ok)
  call check(n == c_sizeof(in) .and. all(in == out))
  status = rfaas_invoke(pool, "nothing"//c_null_char, c_null_ptr, none, c_null_ptr, none, n, rfaas_forever)
  call check(status == rfaas_not_found)
  call check(index(rfaas_error_text(), "there is no function") > 0)

  out = 0
  do i = 1, 2
    status = rfaas_begin(pool, echo, c_loc(in(i)), c_sizeof(in(i)), c_loc(out(i)), c_sizeof(out(i)), rfaas_forever, calls(i))
    call check(status == rfaas_ok)
  end do
  do i = 1, 2
    call check(rfaas_wait_any(calls, 2_c_size_t, at, rfaas_forever) == rfaas_ok)
    call check(rfaas_wait(calls(at + 1), n, 0_c_int64_t) == rfaas_ok .and. n == 8)
    call rfaas_free(calls(at + 1))
    calls(at + 1) = c_null_ptr
  end do
  call check(all(out(1:2) == in(1:2)))

  out = 0
  do i = 1, count
    items(i) = rfaas_item(in=c_loc(in(i)), in_bytes=c_sizeof(in(i)), out=c_loc(out(i)), room=c_sizeof(out(i)))
  end do
  call check(rfaas_invoke_many(pool, echo, items, int(count, c_size_t), rfaas_forever) == rfaas_ok)
  call check(all(in == out) .and. all(items%status == rfaas_ok) .and. all(items%result_bytes == 8))

  ! Registered memory is an array like others.
  call check(rfaas_alloc(cluster, 8_c_size_t * large, memory) == rfaas_ok)
  call c_f_pointer(memory, registered, [large])
  registered(:large / 2) = [(i / 7d0, i = 1, large / 2)]
  status = rfaas_invoke(pool, echo, c_loc(registered(1)), 4_c_size_t * large, c_loc(registered(large / 2 + 1)), &
    4_c_size_t * large, n, rfaas_forever)
  call check(status == rfaas_ok .and. n == 4 * large)
  call check(all(registered(:large / 2) == registered(large / 2 + 1:)))
  call rfaas_dealloc(cluster, memory)
  call rfaas_release(pool)
  call rfaas_close(cluster)
  print "(a)", "all is as rfaas.f90 says"

contains
  subroutine check(right)
    logical, intent(in) :: right
    if (.not. right) error stop "not so; the last error: " // rfaas_error_text()
  end subroutine
end program
