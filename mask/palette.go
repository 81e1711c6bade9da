package mask

import "image/color"

// okabeIto are the chromatic colours of Okabe and Ito, Color Universal Design
// (2008), which people with every common colour vision tell apart, in an order
// that keeps similar ones from being neighbours.
var okabeIto = [...]color.NRGBA{
	{0xE6, 0x9F, 0x00, 0xff}, // orange
	{0x56, 0xB4, 0xE9, 0xff}, // sky blue
	{0xD5, 0x5E, 0x00, 0xff}, // vermilion
	{0xCC, 0x79, 0xA7, 0xff}, // reddish purple
	{0xF0, 0xE4, 0x42, 0xff}, // yellow
	{0x00, 0x9E, 0x73, 0xff}, // bluish green
	{0x00, 0x72, 0xB2, 0xff}, // blue
}

// lighter and darker are the shares of white and black in the second and third
// round of the palette: of the bright pairs the one with the largest distance
// between the two most similar colours, as the test of the palette measures it.
const lighter, darker = .3, .4

// Colors is the number of colours of the palette.
const Colors = 3 * len(okabeIto)

// Color returns colour i of the palette for instances and categories, opaque.
// The first seven are the colours of Okabe and Ito, followed by the same hues lighter and
// then darker, 21 in all, since lightness is what colour-blind readers see best. Beyond
// these, and below 0, the palette repeats.
func Color(i int) color.NRGBA {
	n := len(okabeIto)
	i %= 3 * n
	if i < 0 {
		i += 3 * n
	}
	c := okabeIto[i%n]
	switch i / n {
	case 1:
		return mix(c, 0xff, lighter)
	case 2:
		return mix(c, 0x00, darker)
	}
	return c
}

// mix moves the channels of c towards grey level to by the given share.
func mix(c color.NRGBA, to uint8, share float64) color.NRGBA {
	channel := func(v uint8) uint8 { return uint8(float64(v)*(1-share) + float64(to)*share + .5) }
	return color.NRGBA{channel(c.R), channel(c.G), channel(c.B), c.A}
}
