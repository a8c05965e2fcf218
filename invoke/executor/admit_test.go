package executor

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke"
	_ "github.com/rfaas-go/rfaas/softroce"
	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/verbs"
)

// A drained executor answers calls and new clients with ErrRevoked.
func TestDrained(t *testing.T) {
	t.Parallel()
	e := begin(t, supervise(t, Config{}), assignmentOf("echo"))
	c := dial(t, e, "shm:")
	f, err := c.Function(t.Context(), "echo")
	require.NoError(t, err)
	require.NoError(t, e.Drain())
	require.Eventually(t, func() bool {
		_, err := c.Call(t.Context(), f, []byte("hello"), make([]byte, 5))
		return errors.Is(err, invoke.ErrRevoked)
	}, patience, time.Millisecond)
	_, err = e.Dial(t.Context(), openDevice(t, "shm:"), invoke.ClientConfig{})
	require.ErrorIs(t, err, invoke.ErrRevoked)
}

// When either side of a relay closes, the other one is closed.
func TestRelay(t *testing.T) {
	t.Parallel()
	for i := range 2 {
		var ends, middle [2]net.Conn
		for k := range ends {
			var err error
			ends[k], middle[k], err = StreamPair()
			require.NoError(t, err)
		}
		done := make(chan struct{})
		go func() { relay(middle[0], middle[1]); close(done) }()
		for k := range ends {
			must(fmt.Fprint(ends[k], "hello"))
			got := make([]byte, 5)
			must(io.ReadFull(ends[1-k], got))
			require.Equal(t, "hello", string(got))
		}
		require.NoError(t, ends[i].Close())
		require.NoError(t, ends[1-i].SetReadDeadline(time.Now().Add(patience)))
		_, err := ends[1-i].Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
		<-done
		ends[1-i].Close()
	}
}

// address is where clients find an executor.
type address struct {
	Device, TCP, TLS   string
	Token, Certificate []byte
}

// reachVariable holds the address, for the process of a client.
const reachVariable = "EXECUTOR_TEST_REACH"

const (
	reachable = "10.81.0.1"
	reaching  = "10.81.0.2"
)

// A client in another network namespace calls an isolated executor over softroce, with its
// set-up over TCP and over TLS. The MTU of the executor's route to it is below that of the
// interface, which an isolated process cannot find out.
func TestReachedFromAnotherHost(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("making network namespaces needs root")
	}
	names := map[string]string{reachable: fmt.Sprintf("executor-a-%d", os.Getpid()), reaching: fmt.Sprintf("executor-b-%d", os.Getpid())}
	ip := func(args ...string) {
		out, err := exec.Command("ip", args...).CombinedOutput()
		require.NoError(t, err, "ip %v: %s", args, out)
	}
	for _, name := range names {
		ip("netns", "add", name)
		t.Cleanup(func() { ip("netns", "delete", name) })
	}
	ip("-n", names[reachable], "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", names[reaching])
	for address, name := range names {
		ip("-n", name, "address", "add", address+"/24", "dev", "wire")
		ip("-n", name, "link", "set", "wire", "mtu", "9000")
		ip("-n", name, "link", "set", "wire", "up")
		ip("-n", name, "link", "set", "lo", "up") // for the packet filter's test of itself
	}
	ip("-n", names[reachable], "route", "add", reaching+"/32", "dev", "wire", "mtu", "1500")
	reachIn(t, address{Device: "softroce://" + reaching + "?trust-network"}, "softroce://"+reachable+"?trust-network",
		[]string{"nsenter", "--net=/run/netns/" + names[reachable]}, []string{"nsenter", "--net=/run/netns/" + names[reaching]})
}

// An isolated executor works over the kernel's driver: it creates its objects and posts
// after it has isolated itself.
func TestReachedOverVerbs(t *testing.T) {
	device := os.Getenv("RXE_DEVICE")
	if device == "" {
		t.Skip("no RDMA device: run it with ci/rxe/run")
	}
	url := "verbs://" + device
	reachIn(t, address{Device: url}, url, nil, nil)
}

// reachIn runs a process that supervises an isolated executor, and another one that
// calls it, each with a prefix to its command.
func reachIn(t *testing.T, p address, transport string, there, here []string) {
	t.Helper()
	program := func(prefix []string, role, variable string) *exec.Cmd {
		args := append(append([]string(nil), prefix...), os.Args[0], role)
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		cmd.Env = append(os.Environ(), reachVariable+"="+variable)
		cmd.Stderr = t.Output()
		return cmd
	}
	supervisor := program(there, "reachable", transport)
	in := must(supervisor.StdinPipe())
	out := must(supervisor.StdoutPipe())
	require.NoError(t, supervisor.Start())
	defer supervisor.Wait()
	defer in.Close()
	device := p.Device
	require.NoError(t, json.NewDecoder(out).Decode(&p))
	p.Device = device
	text := must(json.Marshal(p))
	said, err := program(here, "reaching", string(text)).Output()
	require.NoError(t, err)
	require.Equal(t, "TCP: hello\nTLS: hello\n", string(said))
}

// beReachable supervises an isolated executor until its input ends.
func beReachable() {
	url := os.Getenv(reachVariable)
	s := must(New(Config{Setup: Setup{Transports: []string{url}}, Confine: confined(), Output: func(o OutputLine) { fmt.Fprintln(os.Stderr, o.Text) }}))
	defer s.Close(time.Second)
	e := must(s.Start(context.Background(), Order{Assignment: assignmentOf("echo")}))
	host, _, _ := strings.Cut(strings.TrimPrefix(url, "softroce://"), "?")
	if net.ParseIP(host) == nil {
		host = "127.0.0.1"
	}
	certificate, key := certify(host)
	plain := must(net.Listen("tcp", net.JoinHostPort(host, "0")))
	secure := must(tls.Listen("tcp", net.JoinHostPort(host, "0"), &tls.Config{Certificates: []tls.Certificate{key}}))
	for _, l := range []net.Listener{plain, secure} {
		go func() {
			for peers := transport.Serve(l); ; {
				r := must(peers.Accept(context.Background()))
				go func() {
					if err := e.Admit(context.Background(), r); err != nil {
						fmt.Fprintln(os.Stderr, "reachable:", err)
					}
				}()
			}
		}()
	}
	at := address{TCP: plain.Addr().String(), TLS: secure.Addr().String(), Token: e.Token(), Certificate: certificate}
	fmt.Println(string(must(json.Marshal(at))))
	io.Copy(io.Discard, os.Stdin)
}

// certify makes a certificate for a host.
func certify(host string) (certificate []byte, key tls.Certificate) {
	private := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.ParseIP(host)}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	certificate = must(x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private))
	return certificate, tls.Certificate{Certificate: [][]byte{certificate}, PrivateKey: private}
}

// reach calls the executor of another process.
func reach() {
	var p address
	if err := json.Unmarshal([]byte(os.Getenv(reachVariable)), &p); err != nil {
		panic(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	device := must(transport.Open(p.Device))
	defer device.Close()
	call := func(way string, stream net.Conn) {
		c := must(invoke.Connect(ctx, device, stream, invoke.ClientConfig{Token: p.Token}))
		defer c.Close()
		in := bytes.Repeat([]byte("hello"), 4000/5) // more than a packet of an Ethernet
		out := make([]byte, len(in))
		must(c.Call(ctx, must(c.Function(ctx, "echo")), in, out))
		if !bytes.Equal(in, out) {
			panic("another result")
		}
		fmt.Printf("%s: %s\n", way, out[:5])
	}
	call("TCP", must(net.Dial("tcp", p.TCP)))
	roots := x509.NewCertPool()
	roots.AddCert(must(x509.ParseCertificate(p.Certificate)))
	call("TLS", must(tls.Dial("tcp", p.TLS, &tls.Config{RootCAs: roots})))
}
