package tiff

import "fmt"

// predict undoes the predictor in a chunk of rows.
func (p *Page) predict(pix []byte, rowBytes, samples int) error {
	switch {
	case p.predictor == 1:
	case p.predictor == 2 && (p.Bits == 8 || p.Bits == 16 || p.Bits == 32 || p.Bits == 64):
		for ; len(pix) >= rowBytes; pix = pix[rowBytes:] {
			p.addUp(pix[:rowBytes], samples)
		}
	case p.predictor == 3 && p.Format == Float:
		scratch := make([]byte, rowBytes)
		for ; len(pix) >= rowBytes; pix = pix[rowBytes:] {
			p.joinFloats(pix[:rowBytes], scratch, samples)
		}
	default:
		return fmt.Errorf("predictor %d with samples of %d bits: %w", p.predictor, p.Bits, ErrUnsupported)
	}
	return nil
}

// addUp makes samples of differences to the sample on the left.
func (p *Page) addUp(row []byte, samples int) {
	o := p.file.order
	step := samples * p.Bits / 8
	switch p.Bits {
	case 8:
		for i := step; i < len(row); i++ {
			row[i] += row[i-step]
		}
	case 16:
		for i := step; i+2 <= len(row); i += 2 {
			o.PutUint16(row[i:], o.Uint16(row[i:])+o.Uint16(row[i-step:]))
		}
	case 32:
		for i := step; i+4 <= len(row); i += 4 {
			o.PutUint32(row[i:], o.Uint32(row[i:])+o.Uint32(row[i-step:]))
		}
	case 64:
		for i := step; i+8 <= len(row); i += 8 {
			o.PutUint64(row[i:], o.Uint64(row[i:])+o.Uint64(row[i-step:]))
		}
	}
}

// joinFloats undoes the floating-point predictor (Adobe's technical note 3): bytes are
// differences, and the first bytes of all samples come before the second ones.
func (p *Page) joinFloats(row, scratch []byte, samples int) {
	for i := samples; i < len(row); i++ {
		row[i] += row[i-samples]
	}
	copy(scratch, row)
	size := p.Bits / 8
	n := len(row) / size
	big := p.file.order.Uint16([]byte{0, 1}) == 1
	for k := range size {
		at := k
		if !big {
			at = size - 1 - k
		}
		for i := range n {
			row[i*size+at] = scratch[k*n+i]
		}
	}
}
