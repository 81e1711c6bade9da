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

// Two numbers of 32 bits are computed with at a time, as a + 2³²·b. To take them apart 2³¹ is
// added to each: then neither is negative.
const (
	both  = 1<<32 + 1
	apart = 1 << 31

	columnBits = 13 - 2     // of fraction that the columns drop: 2 more than needed are kept
	rowBits    = 13 + 2 + 3 // the rest, and the transform's factor of 8

	columnRound = (apart+1<<(columnBits-1))*both - 1<<64
	rowRound    = (apart+1<<(rowBits-1))*both - 1<<64
	columnBias  = apart >> columnBits * both
)

// clamped maps the high 14 bits of a sum of rows to samples: −8192 and more, to be moved by 128
// and cut off.
var clamped = func() (t [1 << 14]uint8) {
	for i := range t {
		t[i] = uint8(max(0, min(i-1<<13+128, 255)))
	}
	return t
}()

// transform writes the 8×8 samples of a block, of which the coefficients behind the last are 0.
// Its arithmetic is that of libjpeg's accurate integer transform: the columns keep 2 more bits of
// fraction.
func (in *block) transform(last int, out []uint8, stride int) {
	if last == 0 {
		in.flat(out, stride)
		return
	}
	// By pairs of rows: row y and 2³² times row y+1.
	var work [4][8]int64
	if last < 10 { // none beyond row and column 3
		for x := range 2 {
			v0, v1, v2, v3 := in[x], in[4+x], in[8+x], in[12+x]
			transformColumns(v0, v1, v2, v3, 0, 0, 0, 0, x, &work)
		}
	} else {
		for x := range 4 {
			transformColumns(in[x], in[4+x], in[8+x], in[12+x], in[16+x], in[20+x], in[24+x], in[28+x], x, &work)
		}
	}
	for y := range 4 {
		transformRows(&work[y], out[2*y*stride:][:8], out[(2*y+1)*stride:][:8])
	}
}

// flat writes the samples of a block whose coefficients are 0 but for the first.
func (in *block) flat(out []uint8, stride int) {
	v := clamped[uint32(int32(in[0])<<2+16+1<<18)>>5&(1<<14-1)]
	for y := range 8 {
		row := out[y*stride:][:8]
		for x := range row {
			row[x] = v
		}
	}
}

func transformColumns(v0, v1, v2, v3, v4, v5, v6, v7 int64, x int, work *[4][8]int64) {
	z := (v2 + v6) * fix0541
	even2, even3 := z-v6*fix1847, z+v2*fix0765
	even0, even1 := (v0+v4)<<13+columnRound, (v0-v4)<<13+columnRound
	a0, a3, a1, a2 := even0+even3, even0-even3, even1+even2, even1-even2

	z1, z2, z3, z4 := v7+v1, v5+v3, v7+v3, v5+v1
	z5 := (z3 + z4) * fix1175
	z1, z2, z3, z4 = -z1*fix0899, -z2*fix2562, z5-z3*fix1961, z5-z4*fix0390
	t0, t1, t2, t3 := v7*fix0298+z1+z3, v5*fix2053+z2+z4, v3*fix3072+z2+z3, v1*fix1501+z1+z4

	put := func(y int, p, q int64) {
		work[y][2*x&7] = int64(uint32(p)>>columnBits) + int64(uint32(q)>>columnBits)<<32 - columnBias
		work[y][(2*x+1)&7] = int64(uint64(p)>>(32+columnBits)) + int64(uint64(q)>>(32+columnBits))<<32 - columnBias
	}
	put(0, a0+t3, a1+t2)
	put(1, a2+t1, a3+t0)
	put(2, a3-t0, a2-t1)
	put(3, a1-t2, a0-t3)
}

func transformRows(v *[8]int64, first, second []uint8) {
	z := (v[2] + v[6]) * fix0541
	even2, even3 := z-v[6]*fix1847, z+v[2]*fix0765
	even0, even1 := (v[0]+v[4])<<13+rowRound, (v[0]-v[4])<<13+rowRound
	a0, a3, a1, a2 := even0+even3, even0-even3, even1+even2, even1-even2

	z1, z2, z3, z4 := v[7]+v[1], v[5]+v[3], v[7]+v[3], v[5]+v[1]
	z5 := (z3 + z4) * fix1175
	z1, z2, z3, z4 = -z1*fix0899, -z2*fix2562, z5-z3*fix1961, z5-z4*fix0390
	t0, t1, t2, t3 := v[7]*fix0298+z1+z3, v[5]*fix2053+z2+z4, v[3]*fix3072+z2+z3, v[1]*fix1501+z1+z4

	first, second = first[:8], second[:8]
	put := func(x int, s int64) {
		first[x] = clamped[uint32(s)>>rowBits]
		second[x] = clamped[uint64(s)>>(32+rowBits)]
	}
	put(0, a0+t3)
	put(1, a1+t2)
	put(2, a2+t1)
	put(3, a3+t0)
	put(4, a3-t0)
	put(5, a2-t1)
	put(6, a1-t2)
	put(7, a0-t3)
}
