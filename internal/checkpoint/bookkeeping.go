package checkpoint

import (
	"regexp"
	"strings"
)

// scheduleBuffers are the constants of noise schedule and input that the official project
// saves with the parameters.
var scheduleBuffers = regexp.MustCompile(`^(betas|alphas_cumprod|alphas_cumprod_prev|sqrt_alphas_cumprod|sqrt_one_minus_alphas_cumprod|` +
	`log_one_minus_alphas_cumprod|sqrt_recip_alphas_cumprod|sqrt_recipm1_alphas_cumprod|posterior_variance|posterior_log_variance_clipped|` +
	`posterior_mean_coef1|posterior_mean_coef2|pixel_mean|pixel_std)$`)

// Bookkeeping reports whether a name in a DiffusionInst checkpoint is not a parameter's
// but a constant's or a counter's, which need not be loaded.
func Bookkeeping(name string) bool {
	return scheduleBuffers.MatchString(name) || strings.HasSuffix(name, "num_batches_tracked") ||
		strings.HasSuffix(name, ".relative_position_index") || strings.HasSuffix(name, ".attn_mask") // Swin's constants
}
