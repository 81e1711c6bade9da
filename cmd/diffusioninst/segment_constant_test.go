//go:build cgo && linux

package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/golden"
)

// peak returns the most memory that a process has had so far, in bytes.
func peak(t *testing.T, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	for line := range strings.Lines(string(status)) {
		var kB int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kB); n == 1 {
			return kB << 10
		}
	}
	t.Fatalf("no VmHWM in %s", status)
	return 0
}

// A long stream takes no more memory than a short one: nothing of a picture stays. Each has 4 MB
// that are not pixels, so that few are enough.
func TestSegmentStreamInConstantMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("segments 40 pictures")
	}
	const first, count, ballast = 10, 40, 4 << 20
	plain := savePNG(t, filepath.Join(t.TempDir(), "p.png"), 1)
	at := bytes.Index(plain, []byte("IDAT")) - 4
	chunk := append([]byte("baLt"), make([]byte, ballast)...)
	heavy := binary.BigEndian.AppendUint32(bytes.Clone(plain[:at]), ballast)
	heavy = binary.BigEndian.AppendUint32(append(heavy, chunk...), crc32.ChecksumIEEE(chunk))
	heavy = append(heavy, plain[at:]...)

	config := filepath.Join(golden.Dir("mini_r50s_1step"), "config.yaml")
	cmd := asChild(t, "segment", "--weights", "untrained", "--config", config, "--device", "cpu", "--proposals", "20", "--output", "-", "-")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewReader(out)
	var early int64
	for i := range count {
		_, err := in.Write(heavy)
		require.NoError(t, err, "picture %d: %s", i, &stderr)
		line, err := lines.ReadString('\n') // comes before the next picture is there
		require.NoError(t, err, "picture %d: %s", i, &stderr)
		require.Contains(t, line, fmt.Sprintf(`"image_id":%d,`, i+1))
		if i+1 == first {
			early = peak(t, cmd.Process.Pid)
		}
	}
	late := peak(t, cmd.Process.Pid)
	require.NoError(t, in.Close())
	rest, err := io.ReadAll(lines)
	require.NoError(t, err)
	require.Empty(t, rest)
	require.NoError(t, cmd.Wait(), stderr.String())
	require.Less(t, late-early, int64(count-first)*ballast/2, "peak of %d MB after %d pictures, of %d MB after %d", early>>20, first, late>>20, count)
	t.Logf("peak of %d MB after %d pictures, of %d MB after %d", early>>20, first, late>>20, count)
}
