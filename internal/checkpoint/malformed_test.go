package checkpoint

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMalformedPickles gives the machine small programs that go wrong in one way each.
func TestMalformedPickles(t *testing.T) {
	const (
		array = "cnumpy.core.multiarray\n_reconstruct\n)R"
		f4    = "cnumpy\ndtype\nU\x02f4\x85R"
		i4    = "cnumpy\ndtype\nU\x02i4\x85R"
	)
	model := func(v string) string { return "}U\x01w" + v + "s." }
	for _, c := range []struct {
		program string
		cause   error
		says    string
	}{
		{".", ErrCorrupt, "empty stack"},
		{"0", ErrCorrupt, "empty stack"},
		{"2", ErrCorrupt, "empty stack"},
		{"q\x00", ErrCorrupt, "empty stack"},
		{"N(0.", ErrNotCheckpoint, "holds None"},
		{"NN.", ErrCorrupt, "leaves 1 values"},
		{"N(.", ErrCorrupt, "empty stack"},
		{"(\x85", ErrCorrupt, "empty stack"},
		{"t", ErrCorrupt, "misses a mark"},
		{"h\x07", ErrCorrupt, "never stored"},
		{"\x80\x06", ErrUnsupported, "protocol 6"},
		{"\x82\x01", ErrUnsupported, "opcode 0x82 at position 2"},
		{"\x97", ErrUnsupported, "opcode 0x97"},
		{"N)R", ErrForbidden, "calls None"},
		{"NNR", ErrCorrupt, "called with None instead of a tuple"},
		{"cbuiltins\neval\n.", ErrNotCheckpoint, "holds the class builtins.eval"},
		{"cbuiltins\ngetattr\n)R.", ErrForbidden, "an object of builtins.getattr"},
		{"U\x02osU\x06system\x93X\x02\x00\x00\x00ls\x85R.", ErrForbidden, "an object of os.system"},
		{"}U\x01wU\x02osU\x06system\x93X\x02\x00\x00\x00ls\x85Rs.", ErrForbidden, "(os.system), which is never run"},
		{"NN\x93", ErrCorrupt, "names a class by None"},
		{"cbuiltins\nint\n)R.", ErrForbidden, "an object of builtins.int"},
		{"ccollections\nOrderedDict\nNR", ErrCorrupt, "called with None instead of a tuple"},
		{"ccollections\nOrderedDict\nK\x01\x85R", ErrCorrupt, "made of an integer"},
		{"ccollections\nOrderedDict\n]K\x01a\x85R", ErrCorrupt, "made of an integer instead of a pair"},
		{"c__builtin__\nset\nK\x01\x85R", ErrCorrupt, "list is made of an integer"},
		{"c__builtin__\nbytes\nK\x01\x85R", ErrCorrupt, "bytes are made of an integer"},
		{"c_codecs\nencode\n)R", ErrCorrupt, "0 arguments"},
		{"c_codecs\nencode\nX\x01\x00\x00\x00aU\x04rot2\x86R.", ErrForbidden, "an object of _codecs.encode"},
		{"c_codecs\nencode\nX\x03\x00\x00\x00€U\x06latin1\x86R", ErrCorrupt, "beyond Latin-1"},
		{"c_codecs\nencode\nNU\x06latin1\x86R", ErrCorrupt, "called with None"},
		{"c_codecs\nencode\nX\x08\x07\x00\x00" + strings.Repeat("€", 600) + "U\x06latin1\x86R", ErrCorrupt, "beyond Latin-1"},
		{"NQ.", ErrForbidden, "persistent id"},
		{"N}b", ErrCorrupt, "state of None"},
		{"N]a", ErrCorrupt, "appends to None"},
		{"NK\x01K\x02s", ErrCorrupt, "items of None"},
		{"}(K\x01u", ErrCorrupt, "key without a value"},
		{"\x8b\x01\x04\x00\x00", ErrCorrupt, "integer of 1025 bytes"},
		{"}.}.", ErrCorrupt, "2 bytes after the end"},
		{"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x18.", ErrNotCheckpoint, "pickled number"},
		{"].", ErrNotCheckpoint, "holds a list"},
		{"\x88.", ErrNotCheckpoint, "holds a truth value"},
		{"G\x00\x00\x00\x00\x00\x00\x00\x00.", ErrNotCheckpoint, "holds a float"},
		{").", ErrNotCheckpoint, "holds a tuple"},
		{array + ".", ErrNotCheckpoint, "holds an array"},
		{f4 + ".", ErrNotCheckpoint, "holds a NumPy type"},
		{"cargparse\nNamespace\n)R.", ErrForbidden, "holds an object of argparse.Namespace"},
		{"cnumpy\nndarray\n.", ErrNotCheckpoint, "holds the class numpy.ndarray"},
		{"ctorch.storage\n_load_from_bytes\n)R", ErrCorrupt, "0 arguments"},
		{"ctorch.storage\n_load_from_bytes\nN\x85R", ErrCorrupt, "loaded from None"},
		{"ctorch._utils\n_rebuild_tensor\n)R", ErrCorrupt, "rebuilt from 0 arguments"},
		{"ctorch._utils\n_rebuild_tensor\n(NNNNtR", ErrCorrupt, "rebuilt from None"},
		{"ctorch._utils\n_rebuild_parameter\nN\x85R", ErrCorrupt, "rebuilt from None"},
		{"ctorch._tensor\n_rebuild_from_type_v2\n(NNNNtR", ErrCorrupt, "rebuilt from None"},
		{"ctorch._tensor\n_rebuild_from_type_v2\n(NN)NtR", ErrForbidden, "calls None"},
		{"}U\x01wctorch._tensor\n_rebuild_from_type_v2\n(cmine\nrebuild\nN)NtRs.", ErrForbidden, "(mine.rebuild)"},
		{"ctorch\nSize\n)R", ErrCorrupt, "0 arguments"},
		{"cnumpy\ndtype\n)R", ErrCorrupt, "0 arguments"},
		{"cnumpy\ndtype\nN\x85R", ErrCorrupt, "made of None"},
		{f4 + "Nb", ErrCorrupt, "None as its state"},
		{f4 + "(K\x03NNNNtb", ErrCorrupt, "None as its byte order"},
		{f4 + "(K\x03U\x01xNNNtb", ErrCorrupt, `byte order "x"`},
		{array + "Nb", ErrCorrupt, "None as its state"},
		{array + "(K\x01)" + f4 + "NU\x00tb", ErrCorrupt, "None where its order"},
		{array + "(K\x01)N\x89U\x00tb", ErrCorrupt, "None as its type"},
		{array + "(K\x01N" + f4 + "\x89U\x00tb", ErrCorrupt, "None as its shape"},
		{array + "(K\x01)" + f4 + "\x89Ntb", ErrCorrupt, "None as its content"},
		{array + "(K\x01)" + f4 + "\x89X\x00\x00\x00\x00tb", ErrCorrupt, "a string as its content"},
		{model(array), ErrCorrupt, `tensor "w": an array without content`},
		{model(array + "(K\x01K\x02\x85" + f4 + "\x89U\x00tb"), ErrCorrupt, `tensor "w": 0 bytes given for 8`},
		{model(array + "(K\x01J\xff\xff\xff\xff\x85" + f4 + "\x89U\x00tb"), ErrCorrupt, `tensor "w": negative extent`},
		{"}N" + array + "(K\x01)" + f4 + "\x89U\x04abcdtbs.", ErrUnsupported, "None as the key of a tensor"},
		{"}(U\x01w" + array + "(K\x01)" + f4 + "\x89U\x04abcdtbq\x01U\x01wh\x01u.", ErrCorrupt, `tensor "w": two tensors`},
		{"}X\x01\x00\x00\x00\xff" + array + "(K\x01)" + f4 + "\x89U\x04abcdtbs.", ErrCorrupt, "name is not UTF-8"},
		{"cnumpy.core.numeric\n_frombuffer\n)R", ErrCorrupt, "0 arguments"},
		{"cnumpy.core.numeric\n_frombuffer\n(NNNNtR", ErrCorrupt, "no order"},
		{"cnumpy.core.multiarray\nscalar\n)R", ErrCorrupt, "0 arguments"},
		{"cnumpy.core.multiarray\nscalar\nNN\x86R", ErrCorrupt, "None as its type"},
		{"}U\x01ncnumpy.core.multiarray\nscalar\n" + i4 + "N\x86Rs.", ErrNotCheckpoint, "without any tensor"},
	} {
		data := "\x80\x02" + c.program
		_, err := Read(strings.NewReader(data), int64(len(data)))
		require.ErrorIs(t, err, c.cause, "%q", c.program)
		require.ErrorContains(t, err, c.says, "%q", c.program)
	}
}

// TestPython2Order reads an array in the state that early NumPy wrote and an
// OrderedDict as Python 2 pickles it.
func TestPython2Order(t *testing.T) {
	data := "\x80\x02ccollections\nOrderedDict\n](](U\x01wcnumpy.core.multiarray\n_reconstruct\n)R" +
		"(K\x02\x85cnumpy\ndtype\nU\x03>i2\x85RK\x01U\x04\x00\x01\x00\x02tbee\x85R."
	f, err := Read(strings.NewReader(data), int64(len(data)))
	require.NoError(t, err)
	v, err := f.Tensors[0].Float32s()
	require.NoError(t, err)
	require.Equal(t, []float32{1, 2}, v)
}

// TestMalformedLegacy changes one thing at a time in a file of PyTorch's older form.
func TestMalformedLegacy(t *testing.T) {
	good := string(tensorFile(0, []int{4}, []int{1}))
	count := strings.LastIndex(good, "\x04\x00\x00\x00\x00\x00\x00\x00")
	for _, c := range []struct {
		data string
		says string
	}{
		{good + "x", "1 bytes after the last storage"},
		{good[:len(good)-1], "ends after the file"},
		{good[:count+4], "ends before storage"},
		{good[:count] + "\x03" + good[count+1:], "3 elements where 4 are announced"},
		{good[:count] + string(binary.LittleEndian.AppendUint64(nil, 1<<63)) + good[count+8:], "elements where 4 are announced"},
		{strings.Replace(good, "M\xe9\x03", "M\xea\x03", 1), "version 1002"},
		{strings.Replace(good, "\x80\x02}.", "\x80\x02N.", 1), "None where system information"},
		{strings.Replace(good, "]U\x01ka", "]U\x01ja", 1), `storage "j" is unknown`},
		{strings.Replace(good, "]U\x01ka", "]q\x00q\x00", 1), `storage "k" is missing`},
		{strings.Replace(good, "]U\x01ka", "Nq\x00q\x00", 1), "None where the keys"},
		{strings.Replace(good, "U\x07storage", "U\x07modulex", 1), `storage "k" is unknown`},
		{strings.Replace(good, "FloatStorage", "DoubleStorage", 1), "ends after the file"},
		{strings.Replace(good, "K\x04Nt", "K\x04)t", 1), "view of a storage is a tuple"},
		{strings.Replace(good, "K\x04Nt", "K\x04(U\x01vK\x03K\x02tt", 1), `view of storage "k" lies outside`},
		{strings.Replace(good, "K\x04Nt", "NNt", 1), "does not describe a storage"},
		{strings.Replace(good, "ctorch\nFloatStorage\n", "ctorch\nfloat32\n", 1), "does not describe a storage"},
	} {
		require.NotEqual(t, good, c.data)
		_, err := Read(strings.NewReader(c.data), int64(len(c.data)))
		require.ErrorContains(t, err, c.says)
		var e *FormatError
		require.ErrorAs(t, err, &e)
		require.Equal(t, PyTorchLegacy, e.Format)
	}
}

// zipEntry is a file of a zip archive in a test.
type zipEntry struct{ name, content string }

func zipFile(t *testing.T, entries []zipEntry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		f, err := w.CreateHeader(&zip.FileHeader{Name: e.name, Method: zip.Store})
		require.NoError(t, err)
		_, err = f.Write([]byte(e.content))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func zipEntries(t *testing.T, name string) []zipEntry {
	t.Helper()
	z, err := zip.OpenReader(filepath.Join("testdata", name))
	require.NoError(t, err)
	defer z.Close()
	var entries []zipEntry
	for _, f := range z.File {
		r, err := f.Open()
		require.NoError(t, err)
		var b bytes.Buffer
		_, err = b.ReadFrom(r)
		require.NoError(t, err)
		entries = append(entries, zipEntry{f.Name, b.String()})
	}
	return entries
}

func TestMalformedZip(t *testing.T) {
	good := zipEntries(t, "plain.pth")
	edit := func(change func(e *zipEntry)) []byte {
		var out []zipEntry
		for _, e := range good {
			change(&e)
			if e.name != "" {
				out = append(out, e)
			}
		}
		return zipFile(t, out)
	}
	add := func(e ...zipEntry) []byte { return zipFile(t, append(good[:len(good):len(good)], e...)) }
	raw, err := os.ReadFile(filepath.Join("testdata", "plain.pth"))
	require.NoError(t, err)
	for _, c := range []struct {
		data  []byte
		cause error
		says  string
	}{
		{edit(func(e *zipEntry) {
			if e.name == "plain/data/0" {
				e.name = ""
			}
		}), ErrCorrupt, `no entry "plain/data/0"`},
		{edit(func(e *zipEntry) {
			if e.name == "plain/data/0" {
				e.content += "1234"
			}
		}), ErrCorrupt, "100 bytes where 24 elements"},
		{edit(func(e *zipEntry) {
			if e.name == "plain/data.pkl" {
				e.content += "x"
			}
		}), ErrCorrupt, "1 bytes after the end of data.pkl"},
		{edit(func(e *zipEntry) {
			if e.name == "plain/data.pkl" {
				e.name = "plain/other.pkl"
			}
		}), ErrNotCheckpoint, "without data.pkl"},
		{add(zipEntry{"plain/byteorder", "middle"}), ErrCorrupt, `byte order is "middle"`},
		{add(zipEntry{"plain/data/0", ""}), ErrCorrupt, "twice"},
		{add(zipEntry{"other/data.pkl", ""}), ErrCorrupt, "in 2 folders"},
		{raw[:len(raw)-1], ErrCorrupt, "cut off"},
	} {
		_, err := Read(bytes.NewReader(c.data), int64(len(c.data)))
		require.ErrorIs(t, err, c.cause)
		require.ErrorContains(t, err, c.says)
	}
}

// TestOverlappingZipEntries points two directory entries at the same bytes.
func TestOverlappingZipEntries(t *testing.T) {
	a := &zipArchive{placed: map[string]*storage{"a": {off: 10, n: 5}, "b": {off: 15, n: 1}, "c": {off: 12, n: 0}}}
	require.NoError(t, a.checkOverlap())
	a.placed["d"] = &storage{off: 14, n: 1}
	require.ErrorIs(t, a.checkOverlap(), ErrCorrupt)
}
