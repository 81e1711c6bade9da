// Package sampler implements the diffusion sampling of DiffusionInst: noise schedules,
// grids of times, samplers that step from one noise level to the next, policies that
// renew proposals, and the loop that runs them around a denoiser. It knows nothing of
// boxes or networks: a state is any tensor (B,N,D) of B pictures with N proposals of D
// numbers.
//
// A [Config] combines the parts, each of which is a value of its own. A sampler of your
// own implements [Sampler]:
//
//	type Euler struct{}
//
//	func (Euler) String() string { return "my Euler" }
//
//	func (Euler) Step(s *sampler.Step) (*torch.Tensor, error) {
//		return s.Flow(s.X0), nil
//	}
//
// A [Step] offers what the samplers of this package use: further evaluations of the
// denoiser, noise, and the earlier steps.
package sampler
