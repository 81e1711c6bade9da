package utf

import (
	"encoding/binary"
	"io"
	"unicode/utf8"
)

// utf32Reader turns UTF-32 into UTF-8. What is not a character becomes U+FFFD.
type utf32Reader struct {
	r       io.Reader
	order   binary.ByteOrder
	pending []byte // UTF-8 that did not fit into the last read
}

func (u *utf32Reader) Read(p []byte) (int, error) {
	if len(u.pending) == 0 && len(p) > 0 {
		var in [4096]byte
		n, err := io.ReadFull(u.r, in[:])
		for i := 0; i+4 <= n; i += 4 {
			c := rune(utf8.RuneError)
			if v := u.order.Uint32(in[i:]); v <= utf8.MaxRune {
				c = rune(v)
			}
			u.pending = utf8.AppendRune(u.pending, c)
		}
		if n%4 != 0 {
			u.pending = utf8.AppendRune(u.pending, utf8.RuneError)
		}
		if len(u.pending) == 0 {
			if err == io.ErrUnexpectedEOF {
				err = io.EOF
			}
			return 0, err
		}
	}
	n := copy(p, u.pending)
	u.pending = u.pending[n:]
	return n, nil
}
