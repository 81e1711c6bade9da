// Package simulate draws pictures whose instance masks are known exactly: fields of
// touching cell nuclei as a microscope shows them, and coloured geometric shapes.
// They are for tests, benchmarks, the demonstration and the command data simulate.
//
// A picture depends on its options alone and is bit-identical on every platform: the
// arithmetic is +, −, ×, / and √ in float64, and every product is rounded before it
// is added (see mul), so that no compiler fuses the two.
package simulate

//go:generate go run ./demo ../../examples/segment_image
