package checkpoint

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/golden"
)

// countingReader counts the bytes that are read.
type countingReader struct {
	r io.ReaderAt
	n atomic.Int64
}

func (c *countingReader) ReadAt(p []byte, off int64) (int, error) {
	c.n.Add(int64(len(p)))
	return c.r.ReadAt(p, off)
}

// zeros is a file of a header and zeros after it.
type zeros struct {
	header string
	size   int64
}

func (z zeros) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	if off < int64(len(z.header)) {
		copy(p, z.header[off:])
	}
	if off+int64(len(p)) > z.size {
		return int(max(0, z.size-off)), io.EOF
	}
	return len(p), nil
}

// TestOpenReadsOnlyTheDirectory opens a safetensors file of 4 GB and the golden checkpoints.
func TestOpenReadsOnlyTheDirectory(t *testing.T) {
	header := safetensorsFile(`{"a":{"dtype":"F32","shape":[1000000000],"data_offsets":[0,4000000000]}}`, "")
	c := &countingReader{r: zeros{header, int64(len(header)) + 4_000_000_000}}
	f, err := Read(c, int64(len(header))+4_000_000_000)
	require.NoError(t, err)
	require.Equal(t, int64(1_000_000_000), f.Tensors[0].Elements())
	require.Less(t, c.n.Load(), int64(2000))

	for _, folder := range golden.With(t, "model.pth") {
		file, err := os.Open(filepath.Join(folder, "model.pth"))
		require.NoError(t, err)
		defer file.Close()
		info, err := file.Stat()
		require.NoError(t, err)
		c := &countingReader{r: file}
		f, err := Read(c, info.Size())
		require.NoError(t, err)
		require.Less(t, c.n.Load(), int64(1<<10*len(f.Tensors)))
		t.Logf("%s: %d of %d bytes read", filepath.Base(folder), c.n.Load(), info.Size())
	}
}

// TestHostilePickles gives the machine programs that ask for much with few bytes.
// Memory and time must stay in proportion to the size of the file.
func TestHostilePickles(t *testing.T) {
	const size = 1 << 20
	repeat := func(s string) string { return strings.Repeat(s, size/len(s)) }
	encode := "c_codecs\nencode\nq\x00" + "X\x00\x04\x00\x00" + repeat("é")[:1024] + "q\x01U\x06latin1q\x02"
	laughs := "]q\x00"
	for i := range 28 {
		laughs += fmt.Sprintf("0](h%ch%ceq%c", i, i, i+1)
	}
	self := "]q\x00h\x00a"
	list := "](" + strings.Repeat("N", 1000) + "e\x94"
	copies := "c__builtin__\nset\nq\x05" + "](" + strings.Repeat("N", 1000) + "eq\x06"
	var names strings.Builder // distinct ones
	for i := 0; names.Len() < size; i++ {
		fmt.Fprintf(&names, "cm\n%x\n0", i)
	}
	module := "cmine\nNet\n)\x81q\x00}(U\x0b_parametersNU\x08_modules}U\x04selfh\x00sub" // in itself
	deep := "U\xe8" + strings.Repeat("k", 232)                                           // names that grow with every level
	for name, program := range map[string]string{
		"values":             repeat("N"),
		"marks":              repeat("("),
		"lists":              repeat("]"),
		"memoized lists":     repeat("]\x940"),
		"duplicates":         repeat("]2"),
		"long lists":         repeat(list),
		"copied lists":       copies + repeat("h\x05h\x06\x85R0"),
		"copied text":        encode + repeat("h\x00h\x01h\x02\x86R0"),
		"shared lists":       "}U\x05model" + laughs + "s.",
		"a list in itself":   "}U\x05model" + self + "s.",
		"nested lists":       "}U\x05model" + strings.Repeat("]", 1000) + strings.Repeat("a", 999) + "s.",
		"nested names":       strings.Repeat("}"+deep, 40) + "N" + strings.Repeat("s", 40) + ".",
		"objects":            "cmine\nA\nq\x00" + repeat("h\x00)\x81"),
		"objects, dropped":   "cmine\nA\nq\x00" + repeat("h\x00)\x810"),
		"items":              "cmine\nA\n)\x81(" + repeat("NN") + "u.",
		"one by one":         "cmine\nA\n)\x81" + repeat("NNs") + ".",
		"objects as model":   "cmine\nA\nq\x000}U\x05model}(" + strings.Repeat("U\x01ah\x00)\x81", size/8) + "us.",
		"names":              names.String(),
		"a long line":        "V" + repeat("x"),
		"lines":              repeat("V" + strings.Repeat("é", 500) + "\n0"),
		"escapes":            "S'" + repeat("\\x41") + "'\n.",
		"old integers":       repeat("L" + strings.Repeat("9", 1000) + "L\n0"),
		"a module in itself": "}U\x05model" + module + "s.",
		"calls of results":   "cmine\nA\n)R" + repeat(")R"),
		"integers":           repeat("\x8b\x00\x04\x00\x00" + strings.Repeat("\xff", 1024) + "0"),
		"claimed string":     "T\xff\xff\xff\x7f",
		"claimed bytes":      "\x8e\xff\xff\xff\xff\xff\xff\xff\x7f",
		"claimed frame":      "\x95\xff\xff\xff\xff\xff\xff\xff\xff",
		"memo index":         "]r\xff\xff\xff\xff0j\xff\xff\xff\xff",
		"endless line":       "c" + repeat("x"),
		"arrays":             repeat("cnumpy.core.multiarray\n_reconstruct\n)R"),
		"storages":           "ctorch.storage\n_load_from_bytes\nq\x00C\x05\x80\x02K\x00.q\x01" + repeat("h\x00h\x01\x85R0"),
	} {
		t.Run(name, func(t *testing.T) {
			data := []byte("\x80\x05" + program)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := Read(bytes.NewReader(data), int64(len(data)))
			runtime.ReadMemStats(&after)
			var e *FormatError
			require.ErrorAs(t, err, &e)
			used := after.TotalAlloc - before.TotalAlloc
			t.Logf("%d bytes: %d allocated: %v", len(data), used, err)
			require.Less(t, used, uint64(16<<20+400*len(data)))
		})
	}
}

// tensorFile is a file of one tensor "w" with the given place in a storage of
// four floats, as PyTorch writes it.
func tensorFile(offset int, shape, strides []int) []byte {
	ints := func(v []int) string {
		s := "("
		for _, n := range v {
			s += "\x8a\x08" + string(binary.LittleEndian.AppendUint64(nil, uint64(n)))
		}
		return s + "t"
	}
	var b bytes.Buffer
	write := func(s string) { b.WriteString("\x80\x02" + s + ".") }
	write("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19")
	write("M\xe9\x03")
	write("}")
	write("}U\x01wctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU\x01kU\x03cpuK\x04NtQ" +
		"\x8a\x08" + string(binary.LittleEndian.AppendUint64(nil, uint64(offset))) + ints(shape) + ints(strides) + "\x89NtRs")
	write("]U\x01ka")
	b.Write(binary.LittleEndian.AppendUint64(nil, 4))
	b.Write(make([]byte, 16))
	return b.Bytes()
}

func TestPlacement(t *testing.T) {
	const huge = 1 << 62
	for _, c := range []struct {
		offset         int
		shape, strides []int
		says           string // empty if good
	}{
		{0, []int{4}, []int{1}, ""},
		{3, []int{}, []int{}, ""},
		{1, []int{3}, []int{1}, ""},
		{0, []int{2, 2}, []int{1, 2}, ""},
		{0, []int{2}, []int{3}, ""},
		{0, []int{2, 2}, []int{1, 1}, ""}, // overlapping windows
		{0, []int{4}, []int{0}, ""},
		{4, []int{0}, []int{1}, ""},
		{0, []int{1}, []int{huge}, ""},
		{4, []int{}, []int{}, "leaves its storage"},
		{1, []int{4}, []int{1}, "leaves its storage"},
		{0, []int{2}, []int{4}, "leaves its storage"},
		{0, []int{2, 2}, []int{2, 2}, "leaves its storage"},
		{0, []int{2}, []int{huge}, "leaves its storage"},
		{0, []int{3}, []int{huge}, "leaves its storage"},
		{0, []int{5}, []int{0}, "5 elements but its storage only 4"},
		{0, []int{huge, huge}, []int{0, 0}, "too large"},
		{0, []int{huge, 0}, []int{0, 0}, "too large"},
		{-1, []int{1}, []int{1}, "offset -1"},
		{5, []int{0}, []int{1}, "offset 5"},
		{huge, []int{1}, []int{1}, "offset"},
		{3, []int{2}, []int{-1}, "negative stride"},
		{0, []int{-1}, []int{1}, "negative extent"},
		{0, []int{2}, []int{1, 1}, "2 strides"},
		{0, make([]int, 65), make([]int, 65), "more than 64 dimensions"},
	} {
		data := tensorFile(c.offset, c.shape, c.strides)
		f, err := Read(bytes.NewReader(data), int64(len(data)))
		if c.says != "" {
			want := ErrCorrupt
			if strings.HasPrefix(c.says, "5 elements") { // expanded, which others may do without
				want = ErrUnsupported
			}
			require.ErrorIs(t, err, want, "%+v", c)
			require.ErrorContains(t, err, c.says, "%+v", c)
			continue
		}
		require.NoError(t, err, "%+v", c)
		v, err := f.Tensors[0].Float32s()
		require.NoError(t, err)
		require.Len(t, v, int(f.Tensors[0].Elements()))
	}
}
