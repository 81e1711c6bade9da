// Package diffusioninst segments the instances in a picture with DiffusionInst
// (Gu et al., arXiv 2212.02773), a diffusion model that turns random noise into
// boxes and mask filters.
//
//	model, err := diffusioninst.Load(ctx, "model.pth", diffusioninst.LoadOptions{})
//	if err != nil { … }
//	defer model.Close()
//	result, err := model.Segment(ctx, img, diffusioninst.Options{})
//	for _, instance := range result.Instances {
//		fmt.Println(instance.Name, instance.Score, instance.Box, instance.Mask.Area())
//	}
//
// A call is a request that becomes one or more views of each picture: its tiles
// (Options.Tile), sizes and mirror images (Options.Augment). Views go through the network
// in batches, and what they find is merged into one Result per picture. Options.OnStep
// shows the denoising steps on the way.
//
// A Model is safe for concurrent use. The same picture, options and seed give the
// same result, whatever else runs at the time.
package diffusioninst
