// Package beamseg segments pictures in Apache Beam pipelines, on any of its runners: [Segment] takes pictures
// and returns what a model finds, [Write] writes it in shards, and [Pipeline] is
// both, from a list. It is in a module of its own, so that users of the SDK do not get Beam's modules.
package beamseg
