package diffusioninst

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/golden"
)

// editedConfig is the committed golden config with a piece of text replaced.
func editedConfig(t *testing.T, name, old, replacement string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(golden.Dir(name), "config.yaml"))
	require.NoError(t, err)
	require.Contains(t, string(text), old)
	path := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(text), old, replacement, 1)), 0o600))
	return path
}

func TestLoadConfigLeavesAnUnknownSwinToTheCheckpoint(t *testing.T) {
	c, warnings, err := LoadConfig(editedConfig(t, "mini_swin_1step", "SIZE: XXS", "SIZE: mine"))
	require.NoError(t, err)
	require.Nil(t, c.Backbone)
	require.Len(t, warnings, 1)
	require.Contains(t, warnings[0], `"mine"`)

	// Any checkpoint will do: here one with a ResNet.
	c.Decoder.Heads = 4
	m, err := Load(context.Background(), save(t, nil), LoadOptions{Config: &c})
	require.NoError(t, err)
	require.NoError(t, m.Close())
}

func TestLoadConfigRefusesSoftmaxScores(t *testing.T) {
	_, _, err := LoadConfig(editedConfig(t, "mini_r50s_1step", "USE_FOCAL: true", "USE_FOCAL: false"))
	require.ErrorContains(t, err, "USE_FOCAL")
}

func TestLoadConfigKnowsRelativeCoordinates(t *testing.T) {
	c, _, err := LoadConfig(editedConfig(t, "mini_r50s_1step", "USE_FOCAL: true", "USE_FOCAL: true\n    REL_COORDS: true"))
	require.NoError(t, err)
	c, err = c.WithDefaults()
	require.NoError(t, err)
	filter, coordinates := c.MaskHead.Predicted()
	require.Equal(t, []int{filter, coordinates}, []int{c.Decoder.FilterParams, c.Decoder.Coordinates})
	require.Positive(t, coordinates)
	require.True(t, c.MaskBranch.Coordinates)
}

func TestLoadConfigKnowsSelfConditioning(t *testing.T) {
	c, _, err := LoadConfig(editedConfig(t, "mini_r50s_1step", "USE_FOCAL: true", "USE_FOCAL: true\n    SELF_CONDITIONING: true"))
	require.NoError(t, err)
	require.True(t, c.Decoder.SelfConditioning)
	c, _, err = LoadConfig(editedConfig(t, "mini_r50s_1step", "USE_FOCAL: true", "USE_FOCAL: true"))
	require.NoError(t, err)
	require.False(t, c.Decoder.SelfConditioning)
	_, _, err = LoadConfig(editedConfig(t, "mini_r50s_1step", "USE_FOCAL: true", "USE_FOCAL: true\n    SELF_CONDITIONING: 0.5"))
	require.ErrorContains(t, err, "SELF_CONDITIONING")
}
