package jpeg

// Constants of Loeffler, Ligtenberg and Moschytz's transform (ICASSP 1989), times 2¹³.
const (
	fix0298 = 2446
	fix0390 = 3196
	fix0541 = 4433
	fix0765 = 6270
	fix0899 = 7373
	fix1175 = 9633
	fix1501 = 12299
	fix1847 = 15137
	fix1961 = 16069
	fix2053 = 16819
	fix2562 = 20995
	fix3072 = 25172
)

// idct writes the 8×8 samples of a block. Its arithmetic is that of libjpeg's accurate
// integer transform: the rows keep 2 more bits of fraction.
func idct(block []int16, quantizer *[64]uint16, out []uint8, stride int) {
	var work [64]int32
	for x := range 8 {
		var v [8]int32
		for y := range 8 {
			v[y] = int32(block[8*y+x]) * int32(quantizer[8*y+x])
		}
		transform(&v, 13-2)
		for y := range 8 {
			work[8*y+x] = v[y]
		}
	}
	for y := range 8 {
		v := [8]int32(work[8*y:][:8])
		transform(&v, 13+2+3)
		row := out[y*stride:][:8]
		for x := range 8 {
			row[x] = uint8(max(0, min(v[x]+128, 255)))
		}
	}
}

// transform computes 8 values in place, rounded down by a number of bits.
func transform(v *[8]int32, shift int) {
	// The even part.
	z := (v[2] + v[6]) * fix0541
	even2, even3 := z-v[6]*fix1847, z+v[2]*fix0765
	even0, even1 := (v[0]+v[4])<<13, (v[0]-v[4])<<13
	a0, a3, a1, a2 := even0+even3, even0-even3, even1+even2, even1-even2
	// The odd part.
	t0, t1, t2, t3 := v[7], v[5], v[3], v[1]
	z1, z2, z3, z4 := t0+t3, t1+t2, t0+t2, t1+t3
	z5 := (z3 + z4) * fix1175
	t0, t1, t2, t3 = t0*fix0298, t1*fix2053, t2*fix3072, t3*fix1501
	z1, z2, z3, z4 = -z1*fix0899, -z2*fix2562, z5-z3*fix1961, z5-z4*fix0390
	t0, t1, t2, t3 = t0+z1+z3, t1+z2+z4, t2+z2+z3, t3+z1+z4
	half := int32(1) << (shift - 1)
	for i, pair := range [4][2]int32{{a0, t3}, {a1, t2}, {a2, t1}, {a3, t0}} {
		v[i] = (pair[0] + pair[1] + half) >> shift
		v[7-i] = (pair[0] - pair[1] + half) >> shift
	}
}
