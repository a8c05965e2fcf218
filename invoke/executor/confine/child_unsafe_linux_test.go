//go:build amd64 || arm64

package confine

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// scenarioName is the environment variable that makes this test binary a confined
// process.
const scenarioName = "CONFINE_TEST_SCENARIO"

func TestMain(m *testing.M) {
	if name := os.Getenv(scenarioName); name != "" {
		scenario, ok := scenarios[name]
		if !ok {
			panic("no scenario " + name)
		}
		if err := scenario(); err != nil {
			fmt.Fprintln(os.Stderr, name+":", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

var scenarios = map[string]func() error{
	"attempts":    attempts,
	"wait":        waitForEnd,
	"enter":       enterAndWait,
	"enter-stay":  enterAndStay,
	"memory-bomb": memoryBomb,
	"fill-memory": fillMemory,
	"fork-bomb":   forkBomb,
	"foreign-abi": foreignABI,
	"supervisor":  superviseUntilKilled,
	"sender":      sender,
	"alone":       alone,
	"outside":     outside,
	"view":        view,
	"connect":     connect,
}

// findings is what a confined process reports about itself.
type findings struct {
	Report  Report
	Before  []string          // descriptors before Enter
	Env     []string          // environment
	Results map[string]string // of forbidden operations: the error's name, or "allowed"
	Broken  []string          // what a Go program needs, and cannot do
	Threads map[string]string // how many threads had which results
	SID     int
}

func tell(v any) error { return json.NewEncoder(os.Stdout).Encode(v) }

// name is an error's short name.
func name(err error) string {
	var errno syscall.Errno
	switch {
	case err == nil:
		return "allowed"
	case errors.As(err, &errno) && unix.ErrnoName(errno) != "":
		return unix.ErrnoName(errno)
	}
	return err.Error()
}

func raw(number uintptr, args ...uintptr) string {
	var a [6]uintptr
	copy(a[:], args)
	_, _, e := unix.RawSyscall6(number, a[0], a[1], a[2], a[3], a[4], a[5])
	if e == 0 {
		return "allowed"
	}
	return name(e)
}

func openFor(path string, flags int) string {
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0o600)
	if err == nil {
		unix.Close(fd)
	}
	return name(err)
}

func cstring(s string) uintptr {
	b := must(unix.BytePtrFromString(s))
	keep = append(keep, b)
	return uintptr(unsafe.Pointer(b))
}

var keep []*byte

// attempts enters, and tries what is forbidden and what must still work.
func attempts() error {
	f := findings{Results: map[string]string{}, Threads: map[string]string{}, Env: os.Environ()}
	for fd := range 256 { // a restarted program cannot list them
		if to, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)); err == nil {
			f.Before = append(f.Before, fmt.Sprint(fd, " ", to))
		}
	}
	socket := must(net.FileConn(os.NewFile(3, "socket")))
	memory := must(unix.MemfdCreate("memory", unix.MFD_CLOEXEC))
	supervisor := must(strconv.Atoi(os.Getenv("CONFINE_TEST_SUPERVISOR")))
	threads(8) // they exist before Enter
	f.Report = must(Enter(must(Inherited())))
	f.SID, _ = unix.Getsid(0)
	pid, tid := uintptr(os.Getpid()), uintptr(unix.Gettid())

	r := f.Results
	r["open /etc/shadow"] = openFor("/etc/shadow", unix.O_RDONLY)
	r["open /etc/passwd"] = openFor("/etc/passwd", unix.O_RDONLY)
	r["open /proc/1/environ"] = openFor("/proc/1/environ", unix.O_RDONLY)
	r["open supervisor's environment"] = openFor(fmt.Sprintf("/proc/%d/environ", supervisor), unix.O_RDONLY)
	for _, dir := range []string{"/", "/var/tmp", "/dev/shm", "/run", "/home"} {
		r["write in "+dir] = openFor(filepath.Join(dir, "confine-test"), unix.O_CREAT|unix.O_WRONLY)
	}
	r["write "+os.TempDir()] = openFor(filepath.Join(os.TempDir(), "x"), unix.O_CREAT|unix.O_WRONLY)
	r["read "+os.Getenv("CONFINE_TEST_FILE")] = openFor(os.Getenv("CONFINE_TEST_FILE"), unix.O_RDONLY)
	r["write "+os.Getenv("CONFINE_TEST_FILE")] = openFor(os.Getenv("CONFINE_TEST_FILE"), unix.O_WRONLY)
	r["read "+os.Getenv("CONFINE_TEST_OTHER")] = openFor(os.Getenv("CONFINE_TEST_OTHER"), unix.O_RDONLY)
	libraries, _ := filepath.Glob("/usr/lib/*/libc.so.6")
	for _, l := range libraries {
		r["read library"] = openFor(l, unix.O_RDONLY)
	}
	for _, path := range []string{"/proc/self/status", "/proc/cpuinfo", "/sys/devices/system/cpu/online", "/usr/share"} {
		r["read "+path] = openFor(path, unix.O_RDONLY)
	}
	r["open /proc/self/net/tcp"] = openFor("/proc/self/net/tcp", unix.O_RDONLY)
	r["open /proc/self/mountinfo"] = openFor("/proc/self/mountinfo", unix.O_RDONLY)
	affinity := new(unix.CPUSet)
	unix.SchedGetaffinity(0, affinity)
	r["affinity of a thread"] = raw(unix.SYS_SCHED_SETAFFINITY, tid, unsafe.Sizeof(*affinity), uintptr(unsafe.Pointer(affinity)))
	r["named pipe"] = name(unix.Mkfifo(filepath.Join(os.TempDir(), "pipe"), 0o600))
	r["device"] = name(unix.Mknod(filepath.Join(os.TempDir(), "device"), unix.S_IFCHR|0o600, 0))
	r["dev null"] = openFor("/dev/null", unix.O_RDWR)
	r["memory file by name"] = openFor(fmt.Sprintf("/proc/self/fd/%d", memory), unix.O_RDONLY)

	r["socket inet"] = raw(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM, 0)
	r["socket unix"] = raw(unix.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_STREAM, 0)
	pair := new([2]int32)
	r["socketpair"] = raw(unix.SYS_SOCKETPAIR, unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0, uintptr(unsafe.Pointer(pair)))
	r["socketpair of datagrams"] = raw(unix.SYS_SOCKETPAIR, unix.AF_UNIX, unix.SOCK_DGRAM, 0, uintptr(unsafe.Pointer(pair)))
	r["socketpair inet"] = raw(unix.SYS_SOCKETPAIR, unix.AF_INET, unix.SOCK_STREAM, 0, uintptr(unsafe.Pointer(pair)))
	r["connect"] = raw(unix.SYS_CONNECT, 3, 0, 0)
	r["bind"] = raw(unix.SYS_BIND, 3, 0, 0)
	_, dialErr := net.Dial("tcp", "127.0.0.1:9")
	r["dial"] = name(dialErr)

	r["kill supervisor"] = raw(unix.SYS_KILL, uintptr(supervisor), 0)
	r["kill parent"] = raw(unix.SYS_KILL, uintptr(os.Getppid()), 0)
	r["kill everybody"] = raw(unix.SYS_KILL, ^uintptr(0), 0)
	r["kill group"] = raw(unix.SYS_KILL, 0, 0)
	r["kill self"] = raw(unix.SYS_KILL, pid, 0)
	r["tkill"] = raw(unix.SYS_TKILL, tid, 0)
	r["tgkill supervisor"] = raw(unix.SYS_TGKILL, uintptr(supervisor), uintptr(supervisor), 0)
	r["tgkill self"] = raw(unix.SYS_TGKILL, pid, tid, 0)
	r["pidfd_open"] = raw(unix.SYS_PIDFD_OPEN, uintptr(supervisor), 0)
	r["ptrace"] = raw(unix.SYS_PTRACE, unix.PTRACE_ATTACH, uintptr(supervisor))
	r["ptrace traceme"] = raw(unix.SYS_PTRACE, unix.PTRACE_TRACEME)
	r["process_vm_readv"] = raw(unix.SYS_PROCESS_VM_READV, uintptr(supervisor))
	r["process_vm_writev"] = raw(unix.SYS_PROCESS_VM_WRITEV, uintptr(supervisor))

	r["fork"] = raw(unix.SYS_CLONE, uintptr(unix.SIGCHLD))
	r["vfork"] = raw(unix.SYS_CLONE, unix.CLONE_VFORK|unix.CLONE_VM|uintptr(unix.SIGCHLD))
	r["clone with user namespace"] = raw(unix.SYS_CLONE, unix.CLONE_THREAD|unix.CLONE_NEWUSER)
	r["clone3"] = raw(unix.SYS_CLONE3, 0, 0)
	r["execve"] = raw(unix.SYS_EXECVE, cstring("/bin/true"), 0, 0)
	r["execveat"] = raw(unix.SYS_EXECVEAT, 0, cstring(""), 0, 0, unix.AT_EMPTY_PATH)
	r["exec.Command"] = name(exec.Command("/bin/true").Run())
	r["mount"] = raw(unix.SYS_MOUNT, cstring("none"), cstring("/tmp"), cstring("tmpfs"), 0, 0)
	r["umount"] = raw(unix.SYS_UMOUNT2, cstring("/proc"), unix.MNT_DETACH)
	r["unshare"] = raw(unix.SYS_UNSHARE, unix.CLONE_NEWUSER)
	r["setns"] = raw(unix.SYS_SETNS, 0, 0)
	r["chroot"] = raw(unix.SYS_CHROOT, cstring("/tmp"))
	r["setuid 0"] = raw(unix.SYS_SETUID, 0)
	r["setresuid 0"] = raw(unix.SYS_SETRESUID, 0, 0, 0)
	r["setgroups"] = raw(unix.SYS_SETGROUPS, 0, 0)
	r["setpgid"] = raw(unix.SYS_SETPGID, 0, 0)
	r["keyctl"] = raw(unix.SYS_KEYCTL, 0, 0)
	r["bpf"] = raw(unix.SYS_BPF, 0, 0)
	r["perf_event_open"] = raw(unix.SYS_PERF_EVENT_OPEN)
	r["io_uring_setup"] = raw(unix.SYS_IO_URING_SETUP, 1, 0)
	r["userfaultfd"] = raw(unix.SYS_USERFAULTFD, 0)
	r["personality"] = raw(unix.SYS_PERSONALITY, 0xffffffff)
	r["seccomp"] = raw(unix.SYS_SECCOMP, 1, 0, 0)
	r["shmget"] = raw(unix.SYS_SHMGET, 0, 4096, unix.IPC_CREAT|0o600)
	r["init_module"] = raw(unix.SYS_INIT_MODULE, 0, 0, 0)
	r["reboot"] = raw(unix.SYS_REBOOT, 0, 0, 0)
	r["setrlimit"] = raw(unix.SYS_SETRLIMIT, unix.RLIMIT_CORE, 0)
	r["prlimit of supervisor"] = raw(unix.SYS_PRLIMIT64, uintptr(supervisor), unix.RLIMIT_NOFILE)
	r["prlimit of self"] = raw(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE)
	r["prctl pdeathsig"] = raw(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, 0)
	r["prctl dumpable"] = raw(unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 1)
	r["prctl no_new_privs"] = raw(unix.SYS_PRCTL, unix.PR_GET_NO_NEW_PRIVS)
	other := cstring(os.Getenv("CONFINE_TEST_OTHER"))
	atCWD := uintptr(0xffffffffffffff9c) // AT_FDCWD
	r["chmod"] = raw(unix.SYS_FCHMODAT, atCWD, other, 0o777)
	r["chown"] = raw(unix.SYS_FCHOWNAT, atCWD, other, 0, 0, 0)
	r["utimes"] = raw(unix.SYS_UTIMENSAT, atCWD, other, 0, 0)
	r["truncate"] = raw(unix.SYS_TRUNCATE, other, 0)
	r["chmod of an open file"] = raw(unix.SYS_FCHMOD, uintptr(openedFD(os.Getenv("CONFINE_TEST_FILE"))), 0o777)
	r["fcntl F_SETOWN"] = raw(unix.SYS_FCNTL, 3, unix.F_SETOWN, uintptr(supervisor))
	r["fcntl F_SETOWN_EX"] = raw(unix.SYS_FCNTL, 3, unix.F_SETOWN_EX, 0)
	r["fcntl F_SETSIG"] = raw(unix.SYS_FCNTL, 3, unix.F_SETSIG, uintptr(unix.SIGKILL))
	r["ioctl FIOSETOWN"] = raw(unix.SYS_IOCTL, 3, fioSetOwn, 0)
	r["ioctl SIOCSPGRP"] = raw(unix.SYS_IOCTL, 3, siocSetPgrp, 0)
	r["fcntl F_GETFL"] = raw(unix.SYS_FCNTL, 3, unix.F_GETFL)
	r["ioctl TIOCSTI"] = raw(unix.SYS_IOCTL, 0, unix.TIOCSTI, 0)
	r["ioctl in disguise"] = raw(unix.SYS_IOCTL, 0, 1<<32|unix.TIOCSTI, 0) // the kernel takes 32 bits
	r["kill in disguise"] = raw(unix.SYS_KILL, 1<<32|uintptr(supervisor), 0)
	r["unknown call"] = raw(4000)
	var core unix.Rlimit
	unix.Getrlimit(unix.RLIMIT_CORE, &core)
	r["core limit"] = fmt.Sprint(core.Max)
	dumpable, _, _ := unix.RawSyscall(unix.SYS_PRCTL, unix.PR_GET_DUMPABLE, 0, 0)
	r["dumpable"] = fmt.Sprint(dumpable)

	// On existing threads and on new ones, too.
	var mu sync.Mutex
	seen := map[string]int{}
	onThreads(16, func() {
		s := raw(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM, 0) + " " + openFor(os.Getenv("CONFINE_TEST_OTHER"), unix.O_RDONLY)
		mu.Lock()
		defer mu.Unlock()
		seen[s]++
	})
	for s := range seen {
		f.Threads[s] = fmt.Sprint(seen[s])
	}
	f.Broken = goGoesOn(socket, memory)
	return tell(f)
}

// openedFD opens a file for reading; 3 if it cannot.
func openedFD(path string) int {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 3
	}
	return fd
}

// onThreads calls f on n threads at once.
func onThreads(n int, f func()) {
	var all, done sync.WaitGroup
	all.Add(n)
	for range n {
		done.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			all.Done()
			all.Wait()
			f()
		})
	}
	done.Wait()
}

// threads makes n threads, which stay.
func threads(n int) { onThreads(n, func() {}) }

// goGoesOn uses what Go programs need.
func goGoesOn(socket net.Conn, memory int) (broken []string) {
	check := func(what string, err error) {
		if err != nil {
			broken = append(broken, what+": "+err.Error())
		}
	}
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			b := make([][]byte, 100)
			for i := range b {
				b[i] = make([]byte, 10000)
			}
			time.Sleep(time.Millisecond)
		})
	}
	wg.Wait()
	runtime.GC()
	debug.FreeOSMemory()
	threads(24)
	// Preemption of a loop without calls, by signals.
	spin := make(chan uint64)
	go func() {
		var sum uint64
		for i := range uint64(1 << 28) {
			sum += i
		}
		spin <- sum
	}()
	runtime.GC()
	<-spin
	select {
	case <-time.NewTimer(time.Millisecond).C:
	case <-time.After(time.Minute):
		check("timer", errors.New("does not fire"))
	}
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, unix.SIGUSR1)
	check("own signal", unix.Kill(os.Getpid(), unix.SIGUSR1))
	<-ch

	_, err := socket.Write([]byte("ping\n"))
	check("write to an open socket", err)
	answer, err := bufio.NewReader(socket).ReadString('\n')
	check("read from an open socket", err)
	if answer != "pong\n" {
		check("socket", fmt.Errorf("read %q", answer))
	}
	check("ftruncate", unix.Ftruncate(memory, 1<<20))
	page, err := unix.Mmap(memory, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	check("mmap", err)
	if err == nil {
		page[1<<19] = 1
		check("munmap", unix.Munmap(page))
	}
	other, err := unix.MemfdCreate("another", unix.MFD_CLOEXEC)
	check("memfd_create", err)
	unix.Close(other)
	file := filepath.Join(os.TempDir(), "file")
	check("write temporary file", os.WriteFile(file, bytes.Repeat([]byte("x"), 1000), 0o600))
	_, err = os.ReadFile(file)
	check("read temporary file", err)
	check("remove temporary file", os.Remove(file))
	r, w, err := os.Pipe()
	check("pipe", err)
	w.Close()
	_, err = r.Read(make([]byte, 1))
	if err == nil || err.Error() != "EOF" {
		check("read pipe", err)
	}
	return broken
}

func waitForEnd() error {
	must(os.Stdout.WriteString("ready\n"))
	_, err := os.Stdin.Read(make([]byte, 1))
	if err != nil && err.Error() == "EOF" {
		return nil
	}
	return err
}

func enterAndWait() error {
	must(Enter(must(Inherited())))
	return waitForEnd()
}

// enterAndStay does not notice the end of its supervisor.
func enterAndStay() error {
	must(Enter(must(Inherited())))
	fmt.Println("ready")
	return outside()
}

// memoryBomb allocates memory until it is killed.
func memoryBomb() error {
	must(Enter(must(Inherited())))
	if err := waitForEnd(); err != nil { // until the test has set the limit
		return err
	}
	for range 1024 {
		b := must(unix.Mmap(-1, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON))
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
	}
	return errors.New("a gibibyte was not too much")
}

// forkBomb starts as many processes as it can, without a filter.
func forkBomb() error {
	n, refused := 0, 0
	for range 1000 {
		_, err := syscall.ForkExec("/proc/self/exe", []string{"bomb"}, &syscall.ProcAttr{
			Env: []string{scenarioName + "=outside"}, Files: []uintptr{0, 2, 2}})
		if err != nil {
			refused++
			if refused == 10 {
				break
			}
			continue
		}
		n++
	}
	fmt.Println(n, refused)
	_, err := os.Stdin.Read(make([]byte, 1))
	return err
}

// outside sleeps until it is killed.
func outside() error {
	<-time.NewTimer(time.Minute).C
	return errors.New("was not killed within a minute")
}

// foreignABI calls the kernel as a 32-bit program would.
func foreignABI() error {
	must(Enter(must(Inherited())))
	if os.Getenv("CONFINE_TEST_ABI") == "x32" {
		fmt.Println(raw(0x4000_0000 | unix.SYS_GETPID))
		return nil
	}
	code := must(unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE|unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANON))
	copy(code, []byte{0xb8, 20, 0, 0, 0, 0xcd, 0x80, 0xc3}) // mov $20 (getpid), %eax; int $0x80; ret
	entry := &code[0]
	pointer := &entry
	(*(*func())(unsafe.Pointer(&pointer)))()
	fmt.Println("allowed")
	return nil
}

// superviseUntilKilled starts processes, prints their ids, and waits to be killed.
func superviseUntilKilled() error {
	h := must(NewHost(testHost()))
	var pids []string
	for range 3 {
		cmd := exec.Command("/proc/self/exe")
		policy := Policy{Env: []string{scenarioName + "=enter-stay"}, MemoryBytes: 256 << 20, Tasks: 64, Without: unpreparedHere()}
		p := must(h.Prepare(cmd, policy))
		in, out := must(cmd.StdinPipe()), must(cmd.StdoutPipe())
		defer in.Close()
		started := make(chan error)
		go func() {
			started <- p.Start()
			select {} // its thread has to stay
		}()
		if err := <-started; err != nil {
			return err
		}
		if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
			return fmt.Errorf("it said %q: %w", line, err)
		}
		pids = append(pids, fmt.Sprint(cmd.Process.Pid))
	}
	fmt.Println(h.journal.name, strings.Join(pids, " "))
	_, err := os.Stdin.Read(make([]byte, 1))
	return err
}

// alone enters without a Host.
func alone() error {
	var f findings
	p := DefaultPolicy()
	if os.Getenv("CONFINE_TEST_REQUIRE") == "" {
		p.Require = []Measure{Seccomp, NoPrivileges}
	}
	p.OpenFiles = 0
	var err error
	f.Report, err = Enter(p)
	f.Results = map[string]string{"enter": name(err), "socket": raw(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM, 0)}
	_, again := Enter(p)
	f.Results["again"] = name(again)
	return tell(f)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
