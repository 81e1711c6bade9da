// Package sampler turns noise into boxes: noise schedules, samplers that step
// from one noise level to the next, the policies that renew proposals, and the
// loop that runs them around a denoiser.
//
// A sampler of one's own implements Sampler:
//
//	type Euler struct{}
//
//	func (Euler) String() string { return "euler" }
//
//	func (Euler) Step(s *sampler.Step) (*torch.Tensor, error) {
//		…
//	}
package sampler
