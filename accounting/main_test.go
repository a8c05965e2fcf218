package accounting

import (
	"os"
	"testing"
)

const asHelper = "RFAAS_ACCOUNTING_TEST_HELPER" // what the test binary does as another process

func TestMain(m *testing.M) {
	switch os.Getenv(asHelper) {
	case "page":
		writePage()
	case "ledger":
		appendForever()
	default:
		os.Exit(m.Run())
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
