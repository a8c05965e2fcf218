package transport

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRejectionFromStrangers(t *testing.T) {
	t.Parallel()
	full := Rejection{Code: 7, Reason: "why", Data: []byte("more")}.encode()
	for text, b := range map[string][]byte{
		"its reason is malformed (0 bytes)": nil,
		"its reason is malformed (5 bytes)": full[:rejectionHeader-1],
		"its reason is malformed (8 bytes)": full[:rejectionHeader+2],
		"malformed (1031 bytes)":            append([]byte{0, 0, 0, 0, (maxReason + 1) >> 8, (maxReason + 1) & 0xff}, make([]byte, maxReason+1)...),
		"malformed (4103 bytes)":            Rejection{Data: make([]byte, MaxRejectionData+1)}.encode(),
		"no \uFFFD[1m way!":                 Rejection{Reason: "no \x1b[1m way!"}.encode(),
	} {
		err := decodeRejection(b)
		require.ErrorIs(t, err, ErrRejected)
		require.ErrorContains(t, err, "connection refused by the peer: ")
		require.ErrorContains(t, err, text)
	}
}

func TestRejectionRoundTrip(t *testing.T) {
	t.Parallel()
	for _, r := range []Rejection{
		{},
		{Code: 1<<32 - 1, Reason: "no", Data: []byte{0, 1, 2}},
		{Reason: strings.Repeat("r", maxReason), Data: make([]byte, MaxRejectionData)},
	} {
		got, ok := errors.AsType[*RejectedError](decodeRejection(r.encode()))
		require.True(t, ok)
		require.Equal(t, r, got.Rejection)
	}
}
