package tiff

// unPackBits appends what PackBits data stands for, up to limit bytes in all.
func unPackBits(dst, src []byte, limit int) []byte {
	for len(src) > 1 && len(dst) < limit {
		n := int(int8(src[0]))
		src = src[1:]
		switch {
		case n >= 0:
			n = min(n+1, len(src))
			dst = append(grow(dst, n, limit), src[:n]...)
			src = src[n:]
		case n > -128:
			dst = grow(dst, 1-n, limit)
			for range 1 - n {
				dst = append(dst, src[0])
			}
			src = src[1:]
		}
	}
	return dst[:min(len(dst), limit)]
}
