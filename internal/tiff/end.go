package tiff

// reach notes that the file uses n bytes at an offset.
func (f *File) reach(at, n uint64) {
	if at <= uint64(f.size) && n <= uint64(f.size)-at {
		f.end = max(f.end, at+n)
	}
}

// End returns the offset behind all that the pages use. Directories that pages refer to, as
// SubIFDs, are not looked into: what follows the end may belong to them.
func (f *File) End() int64 {
	for _, d := range f.pages {
		for _, tags := range [][2]uint16{{tagStripOffsets, tagStripBytes}, {tagTileOffsets, tagTileBytes}} {
			offsets, err := f.integers(d, tags[0])
			lengths, bad := f.integers(d, tags[1])
			if err != nil || bad != nil {
				continue
			}
			for i := range min(len(offsets), len(lengths)) {
				f.reach(offsets[i], lengths[i])
			}
		}
	}
	return int64(f.end)
}
