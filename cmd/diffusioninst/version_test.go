package main

import (
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVersion(t *testing.T) {
	text, err := program(t, "--version")
	require.NoError(t, err)
	if libTorchVersion == nil {
		require.Regexp(t, `^diffusioninst .+\nwithout LibTorch, go.+\n$`, text)
	} else {
		require.Regexp(t, `^diffusioninst .+\nLibTorch \d+\.\d+.*, go.+\n$`, text)
	}
	info := &debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}}
	require.Equal(t, "diffusioninst v1.2.3", moduleVersion(info))
	info = &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}, Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.time", Value: "2026-11-28T01:02:03Z"}, {Key: "vcs.modified", Value: "true"},
	}}
	require.Equal(t, "diffusioninst devel, revision abc of 2026-11-28, with local changes", moduleVersion(info))
}

// Every command is there in both kinds of build; without cgo those that need LibTorch say so.
func TestCommandsThatNeedLibTorch(t *testing.T) {
	root := newRoot()
	root.RemoveCommand(root.Commands()...)
	root.AddCommand(newStubs(true)...)
	require.Len(t, root.Commands(), len(needLibTorch()))
	root.SetArgs([]string{"segment", "--weights", "a.pth", "b.png"})
	require.ErrorContains(t, root.Execute(), "built without LibTorch (CGO_ENABLED=0), which segment needs")
	root.SetArgs([]string{"segment", "--help"})
	require.NoError(t, root.Execute())
}
