package checkpoint

import (
	"io"
	"sort"
)

const latin1Chunk = 1 << 14

// latin1Text gives random access to bytes that the file holds as UTF-8 text of
// their code points. An index of a mark per chunk keeps reading in order linear.
type latin1Text struct {
	r     io.ReaderAt
	off   int64 // of the text in the file
	n     int64 // bytes of the text
	size  int64 // bytes that it stands for
	marks []latin1Mark
}

type latin1Mark struct{ text, decoded int64 } // equal places in the text and in the bytes

// latin1 returns the bytes behind a long text. Each text is scanned once.
func (m *machine) latin1(s span) (*latin1Text, error) {
	if t, ok := m.latin1Texts[s.off]; ok {
		return t, nil
	}
	t := &latin1Text{r: m.in.r, off: s.off, n: s.n}
	if err := m.charge(int(16 * (s.n/latin1Chunk + 1))); err != nil {
		return nil, err
	}
	buf := make([]byte, latin1Chunk)
	for at := int64(0); at < t.n; {
		t.marks = append(t.marks, latin1Mark{at, t.size})
		used, decoded, err := t.chunk(buf, at)
		if err != nil {
			return nil, err
		}
		at += int64(used)
		t.size += int64(len(decoded))
	}
	if m.latin1Texts == nil {
		m.latin1Texts = map[int64]*latin1Text{}
	}
	m.latin1Texts[s.off] = t
	return t, nil
}

// chunk decodes into buf what fits it of the text from at on, and returns how much
// of the text that was.
func (t *latin1Text) chunk(buf []byte, at int64) (int, []byte, error) {
	raw := buf[:min(int64(len(buf)), t.n-at)]
	if n, err := t.r.ReadAt(raw, t.off+at); n < len(raw) {
		return 0, nil, readError("text", err)
	}
	if raw[len(raw)-1] >= 0xc0 && at+int64(len(raw)) < t.n { // half a character
		raw = raw[:len(raw)-1]
	}
	out := raw[:0]
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c >= 0x80 {
			if c&0xfe != 0xc2 || i+1 == len(raw) || raw[i+1]&0xc0 != 0x80 {
				return 0, nil, corrupt("bytes are written as text beyond Latin-1")
			}
			i++
			c = c<<6 | raw[i]&0x3f
		}
		out = append(out, c)
	}
	return len(raw), out, nil
}

// ReadAt implements io.ReaderAt on the decoded bytes.
func (t *latin1Text) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= t.size {
		return 0, io.EOF
	}
	i := sort.Search(len(t.marks), func(i int) bool { return t.marks[i].decoded > off }) - 1
	buf := make([]byte, latin1Chunk)
	n := 0
	for ; i < len(t.marks) && n < len(p); i++ {
		_, decoded, err := t.chunk(buf, t.marks[i].text)
		if err != nil {
			return n, err
		}
		n += copy(p[n:], decoded[off+int64(n)-t.marks[i].decoded:])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
