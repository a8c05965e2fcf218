// Package rxe_test runs ci/rxe/run with small programs, in the guest and on this machine. If
// this kernel does not have the driver, the latter way is tested inside of a guest.
package rxe_test

import (
	"fmt"
	"net"
	"os"
	"testing"
)

// bindVariable turns this test binary into a program that binds RoCE's UDP port.
const bindVariable = "RXE_TEST_BIND"

func TestMain(m *testing.M) {
	if os.Getenv(bindVariable) != "" {
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{Port: 4791})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		conn.Close()
		fmt.Println("bound")
		os.Exit(0)
	}
	os.Exit(m.Run())
}
