package journal

import (
	"bytes"
	"encoding/hex"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The bytes are of a file that TensorFlow wrote: a version record of 1,591,894,272 s, and
// the checksums of a record of tf.summary.scalar. TensorBoard's own tests have them.
func TestRecordsAreTensorFlows(t *testing.T) {
	seconds := math.Float64frombits(0x41d7d69938800000)
	whole, part := math.Modf(seconds)
	at := time.Unix(int64(whole), int64(part*1e9))
	want := "1800000000000000" + "a37f4b22" + "090000803899d6d7411a0d627261696e2e4576656e743a32" + "124b36ab"
	require.Equal(t, want, hex.EncodeToString(record(fileVersion(at))))

	data, err := hex.DecodeString("09c405b73d99d6d741104d2a250a230a086163637572616379420a080112002204a4707d3f4a0b0a090a077363616c617273")
	require.NoError(t, err)
	got := record(data)
	require.Equal(t, "3200000000000000"+"241956ec", hex.EncodeToString(got[:12]))
	require.Equal(t, data, got[12:len(got)-4])
	require.Equal(t, "a55b6433", hex.EncodeToString(got[len(got)-4:]))
}

func TestEventsDecode(t *testing.T) {
	at := time.Date(2026, 11, 22, 21, 54, 40, 250_000_000, time.UTC)
	wall := float64(at.Unix()) + 0.25
	long := string(bytes.Repeat([]byte("x"), 300))
	for _, c := range []struct {
		name  string
		event []byte
		want  decoded
	}{
		{"version", fileVersion(at), decoded{wall: wall, version: "brain.Event:2"}},
		{"start", sessionStart(0, at), decoded{wall: wall, start: true}},
		{"restart", sessionStart(12345, at), decoded{wall: wall, step: 12345, start: true}},
		{"empty summary", summary(7, at, "train", nil), decoded{wall: wall, step: 7}},
		{
			"summary", summary(math.MaxInt64, at, "train", []Scalar{{"loss", 0.1}, {long, math.Inf(-1)}, {"größe", 1e300}, {"zero", 0}}),
			decoded{wall: wall, step: math.MaxInt64, values: []decodedValue{
				{"train/loss", 0.1}, {"train/" + long, float32(math.Inf(-1))}, {"train/größe", float32(math.Inf(1))}, {"train/zero", 0},
			}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			records, err := readRecords(bytes.NewReader(record(c.event)))
			require.NoError(t, err)
			require.Len(t, records, 1)
			got, err := decodeEvent(records[0])
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
	got, err := decodeEvent(summary(1, at, "train", []Scalar{{"loss", math.NaN()}}))
	require.NoError(t, err)
	require.True(t, math.IsNaN(float64(got.values[0].value)))
}

// The strict decoder refuses what it must, so that it can vouch for the rest.
func TestDecoderIsStrict(t *testing.T) {
	good := record(summary(3, time.Unix(1, 0), "train", []Scalar{{"loss", 1}}))
	for i := range good {
		_, err := readRecords(bytes.NewReader(good[:i]))
		require.Equal(t, i > 0, err == errTorn, i)
		bad := slices.Clone(good)
		bad[i] ^= 0x10
		_, err = readRecords(bytes.NewReader(bad))
		require.Error(t, err, i)
		require.NotErrorIs(t, err, errTorn, i)
	}
}

// TensorBoard reads by name: what begins later must come later, whatever the clock says.
func TestEventFilesAreInOrder(t *testing.T) {
	folder := t.TempDir()
	for _, seconds := range []int64{1_700_000_000, 1_700_000_000, 1_600_000_000, 1_700_000_001, 1_700_000_100} {
		f, err := openEvents(folder, 0, time.Unix(seconds, 0))
		require.NoError(t, err)
		require.NoError(t, f.close())
		entries, err := os.ReadDir(folder)
		require.NoError(t, err)
		require.Equal(t, filepath.Base(f.f.Name()), entries[len(entries)-1].Name())
	}
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Len(t, entries, 5)
}
