package trace

import (
	"testing"
	"unsafe"
)

func TestRecordSize(t *testing.T) {
	t.Parallel()
	if size := unsafe.Sizeof(Record{}); size != 32 {
		t.Fatalf("a Record has %d bytes, not 32", size)
	}
}
