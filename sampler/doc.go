// Package sampler turns noise into boxes: noise schedules, grids of times, samplers
// that step from one noise level to the next, policies that renew proposals, and
// the loop that runs them around a denoiser. It knows nothing of boxes or networks:
// a state is any (B,N,D) tensor of B pictures with N proposals of D numbers.
//
// Config puts the parts together; each is a value of its own, so that any
// combination runs. A sampler of one's own implements Sampler:
//
//	type Euler struct{}
//
//	func (Euler) String() string { return "my Euler" }
//
//	func (Euler) Step(s *sampler.Step) (*torch.Tensor, error) {
//		return s.Flow(s.X0), nil
//	}
//
// Step gives it all that the samplers of this package use: more evaluations of the
// denoiser, noise, and the steps before.
package sampler
