package mask

import (
	"image"
	"math"
)

// perimeterWeights are the lengths that border pixels contribute by the border pixels
// around them: 1 + 2 for each 4-neighbour + 10 for each diagonal one. Numbers that are not
// here contribute nothing.
var perimeterWeights = map[int]float64{
	5: 1, 7: 1, 15: 1, 17: 1, 25: 1, 27: 1,
	21: math.Sqrt2, 33: math.Sqrt2,
	13: (1 + math.Sqrt2) / 2, 23: (1 + math.Sqrt2) / 2,
}

// perimeter is that of Measurement. It passes over the box with three rows of pixels and
// three of border pixels, each with a column more on either side.
func perimeter(b *Bitmap, box image.Rectangle) float64 {
	width := box.Dx() + 2
	var set, border [3][]bool
	for i := range set {
		set[i], border[i] = make([]bool, width), make([]bool, width)
	}
	load := func(y int) []bool {
		row := set[(y+3)%3]
		clear(row)
		if at := box.Min.Y + y; at < box.Max.Y {
			for x0, x1 := range b.Row(at) {
				for x := x0; x < x1; x++ {
					row[x-box.Min.X+1] = true
				}
			}
		}
		return row
	}
	var counts [50]int
	load(0)
	for y := 0; y <= box.Dy(); y++ { // finds the border of row y and counts that of row y-1
		above, here, below := set[(y+2)%3], set[y%3], load(y+1)
		edge := border[y%3]
		for x := 1; x < width-1; x++ {
			edge[x] = here[x] && !(above[x] && below[x] && here[x-1] && here[x+1])
		}
		if y > 0 {
			countBorder(border[(y+1)%3], border[(y+2)%3], edge, &counts)
		}
	}
	length := 0.0
	for code, n := range counts {
		length += perimeterWeights[code] * float64(n)
	}
	return length
}

// countBorder counts the border pixels of a row by their neighbours.
func countBorder(above, here, below []bool, counts *[50]int) {
	number := func(v bool) int {
		if v {
			return 1
		}
		return 0
	}
	for x := 1; x < len(here)-1; x++ {
		if here[x] {
			counts[1+2*(number(above[x])+number(below[x])+number(here[x-1])+number(here[x+1]))+
				10*(number(above[x-1])+number(above[x+1])+number(below[x-1])+number(below[x+1]))]++
		}
	}
}
