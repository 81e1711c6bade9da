package tiff

import "math"

// appendRow appends the wanted samples of the first n pixels of a row.
func (r *reader) appendRow(out *Raster, row []byte, n int) {
	o := r.file.order
	switch {
	case r.Format == Unsigned && r.Bits == 8:
		if len(r.wanted) == r.samples && inOrder(r.wanted) {
			out.U8 = append(out.U8, row[:n*r.samples]...)
			return
		}
		r.each(n, func(i int) { out.U8 = append(out.U8, row[i]) })
	case r.Format == Unsigned && r.Bits < 8:
		r.each(n, func(i int) { out.U8 = append(out.U8, uint8(bitsAt(row, i*r.Bits, r.Bits))) })
	case r.Format == Unsigned && r.Bits == 16:
		r.each(n, func(i int) { out.U16 = append(out.U16, o.Uint16(row[2*i:])) })
	case r.Format == Unsigned && r.Bits < 16:
		r.each(n, func(i int) { out.U16 = append(out.U16, uint16(bitsAt(row, i*r.Bits, r.Bits))) })
	default:
		value := r.value()
		r.each(n, func(i int) { out.F64 = append(out.F64, value(row, i)) })
	}
}

func inOrder(wanted []int) bool {
	for i, s := range wanted {
		if i != s {
			return false
		}
	}
	return true
}

// each calls f with the index of each wanted sample of n pixels.
func (r *reader) each(n int, f func(i int)) {
	for x := range n {
		for _, s := range r.wanted {
			f(x*r.samples + s)
		}
	}
}

// value returns what reads sample i of a row of samples that are not small unsigned numbers.
func (r *reader) value() func(row []byte, i int) float64 {
	o := r.file.order
	switch f, bits := r.Format, r.Bits; {
	case f == Signed && bits == 8:
		return func(row []byte, i int) float64 { return float64(int8(row[i])) }
	case f == Signed && bits == 16:
		return func(row []byte, i int) float64 { return float64(int16(o.Uint16(row[2*i:]))) }
	case f == Signed && bits == 32:
		return func(row []byte, i int) float64 { return float64(int32(o.Uint32(row[4*i:]))) }
	case f == Signed:
		return func(row []byte, i int) float64 { return float64(int64(o.Uint64(row[8*i:]))) }
	case f == Float && bits == 16:
		return func(row []byte, i int) float64 { return smallFloat(uint32(o.Uint16(row[2*i:])), 5, 10) }
	case f == Float && bits == 24:
		return func(row []byte, i int) float64 { return smallFloat(r.three(row[3*i:]), 7, 16) }
	case f == Float && bits == 32:
		return func(row []byte, i int) float64 { return float64(math.Float32frombits(o.Uint32(row[4*i:]))) }
	case f == Float:
		return func(row []byte, i int) float64 { return math.Float64frombits(o.Uint64(row[8*i:])) }
	case bits == 24:
		return func(row []byte, i int) float64 { return float64(r.three(row[3*i:])) }
	case bits == 32:
		return func(row []byte, i int) float64 { return float64(o.Uint32(row[4*i:])) }
	case bits == 64:
		return func(row []byte, i int) float64 { return float64(o.Uint64(row[8*i:])) }
	default:
		return func(row []byte, i int) float64 { return float64(bitsAt(row, i*bits, bits)) }
	}
}

// three reads 24 bits.
func (r *reader) three(b []byte) uint32 {
	if r.file.order.Uint16([]byte{0, 1}) == 1 {
		return uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2])
	}
	return uint32(b[2])<<16 | uint32(b[1])<<8 | uint32(b[0])
}

// smallFloat converts a floating-point number with a sign, so many bits of exponent, and so
// many of fraction.
func smallFloat(v uint32, exponent, fraction int) float64 {
	sign := 1.0
	if v>>(exponent+fraction)&1 == 1 {
		sign = -1
	}
	most := 1<<exponent - 1
	e, m := int(v>>fraction)&most, float64(v&(1<<fraction-1))
	bias := most / 2
	switch {
	case e == most && m == 0:
		return math.Inf(int(sign))
	case e == most:
		return math.NaN()
	case e == 0:
		return sign * math.Ldexp(m, 1-bias-fraction)
	}
	return sign * math.Ldexp(m+math.Ldexp(1, fraction), e-bias-fraction)
}

// bitsAt reads n bits of a row, the highest first.
func bitsAt(row []byte, at, n int) uint32 {
	v := uint32(0)
	for n > 0 {
		free := 8 - at%8
		take := min(free, n)
		v = v<<take | uint32(row[at/8])>>(free-take)&(1<<take-1)
		at += take
		n -= take
	}
	return v
}
