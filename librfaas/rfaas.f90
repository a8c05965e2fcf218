! Call functions on leased cores: the interface in C, rfaas.h, for Fortran. What functions return, what their
! arguments mean and who owns memory until when is said there.
!
!     use rfaas
!     type(c_ptr) :: cluster, pool
!     status = rfaas_connect(cluster=cluster)
!     status = rfaas_lease(cluster, rfaas_order(workers=2), pool)
!     status = rfaas_invoke(pool, "sum"//c_null_char, c_loc(in), c_sizeof(in), c_loc(out), c_sizeof(out), n, rfaas_forever)
!
! Names and texts that are passed end with c_null_char. rfaas_error_text() is rfaas_error() as a text of Fortran.
module rfaas
  use iso_c_binding
  implicit none
  public

  enum, bind(C)
    enumerator :: rfaas_ok = 0, rfaas_function, rfaas_crashed, rfaas_not_found, rfaas_too_large, rfaas_busy, &
      rfaas_deadline, rfaas_canceled, rfaas_revoked, rfaas_version
    enumerator :: rfaas_lost = 32, rfaas_no_worker, rfaas_full, rfaas_closed, rfaas_unfinished, rfaas_invalid, &
      rfaas_forked, rfaas_failed
  end enum

  integer(c_int64_t), parameter :: rfaas_forever = -1

  type, bind(C) :: rfaas_config
    type(c_ptr) :: transport = c_null_ptr
    type(c_ptr) :: manager = c_null_ptr
    type(c_ptr) :: agents = c_null_ptr
    type(c_ptr) :: tenant = c_null_ptr
    type(c_ptr) :: token_file = c_null_ptr
    type(c_ptr) :: tls_ca = c_null_ptr
    integer(c_int) :: trust_network = 0
  end type

  type, bind(C) :: rfaas_order
    type(c_ptr) :: code = c_null_ptr
    integer(c_int) :: workers = 0
    integer(c_int) :: at_least = 0
    integer(c_int) :: cores = 0
    integer(c_int64_t) :: memory_bytes = 0
    integer(c_int64_t) :: payload_bytes = 0
    type(c_ptr) :: mode = c_null_ptr
    integer(c_int64_t) :: timeout = 0
  end type

  type, bind(C) :: rfaas_item
    type(c_ptr) :: in = c_null_ptr
    integer(c_size_t) :: in_bytes = 0
    type(c_ptr) :: out = c_null_ptr
    integer(c_size_t) :: room = 0
    integer(c_size_t) :: result_bytes = 0
    integer(c_int) :: status = 0
  end type

  interface
    function rfaas_connect(config, cluster) bind(C) result(status)
      import
      type(rfaas_config), intent(in), optional :: config
      type(c_ptr), intent(out) :: cluster
      integer(c_int) :: status
    end function

    subroutine rfaas_close(cluster) bind(C)
      import
      type(c_ptr), value :: cluster
    end subroutine

    function rfaas_lease(cluster, order, pool) bind(C) result(status)
      import
      type(c_ptr), value :: cluster
      type(rfaas_order), intent(in) :: order
      type(c_ptr), intent(out) :: pool
      integer(c_int) :: status
    end function

    function rfaas_alloc(cluster, bytes, memory) bind(C) result(status)
      import
      type(c_ptr), value :: cluster
      integer(c_size_t), value :: bytes
      type(c_ptr), intent(out) :: memory
      integer(c_int) :: status
    end function

    subroutine rfaas_dealloc(cluster, memory) bind(C)
      import
      type(c_ptr), value :: cluster, memory
    end subroutine

    subroutine rfaas_release(pool) bind(C)
      import
      type(c_ptr), value :: pool
    end subroutine

    function rfaas_invoke(pool, function, in, in_bytes, out, room, result_bytes, timeout) bind(C) result(status)
      import
      type(c_ptr), value :: pool, in, out
      character(kind=c_char), intent(in) :: function(*)
      integer(c_size_t), value :: in_bytes, room
      integer(c_size_t), intent(out) :: result_bytes
      integer(c_int64_t), value :: timeout
      integer(c_int) :: status
    end function

    function rfaas_begin(pool, function, in, in_bytes, out, room, timeout, call) bind(C) result(status)
      import
      type(c_ptr), value :: pool, in, out
      character(kind=c_char), intent(in) :: function(*)
      integer(c_size_t), value :: in_bytes, room
      integer(c_int64_t), value :: timeout
      type(c_ptr), intent(out) :: call
      integer(c_int) :: status
    end function

    function rfaas_test(call, result_bytes) bind(C) result(status)
      import
      type(c_ptr), value :: call
      integer(c_size_t), intent(out) :: result_bytes
      integer(c_int) :: status
    end function

    function rfaas_wait(call, result_bytes, timeout) bind(C) result(status)
      import
      type(c_ptr), value :: call
      integer(c_size_t), intent(out) :: result_bytes
      integer(c_int64_t), value :: timeout
      integer(c_int) :: status
    end function

    ! index counts from 0, as in C.
    function rfaas_wait_any(calls, count, index, timeout) bind(C) result(status)
      import
      type(c_ptr), intent(in) :: calls(*)
      integer(c_size_t), value :: count
      integer(c_size_t), intent(out) :: index
      integer(c_int64_t), value :: timeout
      integer(c_int) :: status
    end function

    subroutine rfaas_cancel(call) bind(C)
      import
      type(c_ptr), value :: call
    end subroutine

    subroutine rfaas_free(call) bind(C)
      import
      type(c_ptr), value :: call
    end subroutine

    function rfaas_call_error(call) bind(C) result(text)
      import
      type(c_ptr), value :: call
      type(c_ptr) :: text
    end function

    function rfaas_call_code(call) bind(C) result(code)
      import
      type(c_ptr), value :: call
      integer(c_int32_t) :: code
    end function

    function rfaas_invoke_many(pool, function, items, count, timeout) bind(C) result(status)
      import
      type(c_ptr), value :: pool
      character(kind=c_char), intent(in) :: function(*)
      type(rfaas_item), intent(inout) :: items(*)
      integer(c_size_t), value :: count
      integer(c_int64_t), value :: timeout
      integer(c_int) :: status
    end function

    function rfaas_error() bind(C) result(text)
      import
      type(c_ptr) :: text
    end function
  end interface

contains

  function rfaas_error_text() result(text)
    character(:), allocatable :: text
    character(kind=c_char), pointer :: letters(:)
    integer, parameter :: longest = 1024 ! of rfaas_error
    integer :: length, i

    call c_f_pointer(rfaas_error(), letters, [longest])
    length = findloc(letters == c_null_char, .true., dim=1) - 1
    allocate(character(length) :: text)
    do i = 1, length
      text(i:i) = letters(i)
    end do
  end function
end module
