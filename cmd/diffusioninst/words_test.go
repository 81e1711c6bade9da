package main

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"
)

// Errors of the SDK name its options; the program's name flags, and stay what they are.
func TestErrorsNameFlags(t *testing.T) {
	require.NoError(t, inFlags(nil))
	cause := errors.Join(errors.New("choose one with Options.Page, or the greatest value of all with Options.MaxZ; or take each with picture.Pages"), fs.ErrNotExist)
	err := inFlags(cause)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.EqualError(t, err, "choose one with --page N, or the greatest value of all with --z max; or take each with --page all\nfile does not exist")
	for sdk, program := range map[string]string{
		"Dataset.CrowdsToObjects takes them":       "--crowd object takes them",
		"raise Options.MaxBytes":                   "raise --max-memory",
		"diffusioninst: option Score: 2: no score": "--score (option Score): 2: no score",
		"diffusioninst: option Scales: Augment.Scales says the size of each view: give one of the two": "--scales (option Scales): --tta says the size of each view: give one of the two",
		"choose with Options.Channels":               "choose with --channel",
		"use Options.Normalize 0.1,98":               "use --norm 0.1,98",
		"a time with Options.Time, Options.Scene, Z": "a time with --time N, --scene N, Z",
	} {
		require.EqualError(t, inFlags(errors.New(sdk)), program)
	}
}
