// Package maskhead computes masks. The mask branch turns a feature pyramid into mask
// features, once per picture; the dynamic mask head applies an instance's filter to them
// (conditional convolutions; Tian et al., CondInst, arXiv 2003.05664).
package maskhead
