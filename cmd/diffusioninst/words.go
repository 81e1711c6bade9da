package main

import "strings"

// flagWords are names of the SDK that errors and warnings of its packages use, and the flags
// that set the same.
var flagWords = strings.NewReplacer(
	"Options.Page", "--page N", "picture.Pages", "--page all", "Options.MaxZ", "--z max", "Options.Z", "--z N", "Options.Level", "--level N",
	"Options.Time", "--time N", "Options.Scene", "--scene N", "Options.Channels", "--channel", "Options.Normalize", "--norm",
	"normalization with 1,99.8 (percentiles) stretches them", "normalization with 1,99.8 (percentiles) stretches them (--norm 1,99.8)",
	"Options.MaxBytes", "--max-memory", "Options.MaxViews", "--max-views",
	"annotation.Options.CrowdObjects", "--crowd object", "Dataset.CrowdsToObjects", "--crowd object", "LoadOptions.Config", "--config FILE",
	"diffusioninst: option Normalize:", "--norm (option Normalize):", "diffusioninst: option Score:", "--score (option Score):", "diffusioninst: option Limit:", "--limit (option Limit):",
	"diffusioninst: option Proposals:", "--proposals (option Proposals):", "diffusioninst: option Steps:", "--steps (option Steps):", "diffusioninst: option Scale:", "--scale (option Scale):",
	"diffusioninst: option MaskScore:", "--mask-score (option MaskScore):", "diffusioninst: option Tile:", "--tile (option Tile):", "diffusioninst: option Augment.Scales:", "--tta (option Augment.Scales):", "give a Scale, too", "give --scale, too",
	"Augment.Scales says the size of each view", "--tta says the size of each view",
	"diffusioninst: option Scales:", "--scales (option Scales):", "sizes (Scales)", "sizes (--scales 1)",
)

// A flagError is an error in the words of the program.
type flagError struct{ error }

func (e flagError) Error() string { return flagWords.Replace(e.error.Error()) }

// Unwrap returns the error in the words of the SDK.
func (e flagError) Unwrap() error { return e.error }

// inFlags returns an error that names flags instead of the SDK's options.
func inFlags(err error) error {
	if err == nil {
		return nil
	}
	return flagError{err}
}
