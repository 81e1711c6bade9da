package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

// libTorchVersion returns the version of the LibTorch that the program was built with. It is
// nil in a program built without cgo.
var libTorchVersion func() string

// programVersion returns what --version prints: the module's version and revision, and what
// the program was built with.
func programVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	libTorch := "without LibTorch"
	if libTorchVersion != nil {
		libTorch = "LibTorch " + libTorchVersion()
	} else if path := companionPath(); path != "" {
		libTorch = "LibTorch by " + path
	}
	return fmt.Sprintf("%s\n%s, %s, %s/%s", moduleVersion(info), libTorch, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// programName is programVersion in a single line.
func programName() string { return strings.ReplaceAll(programVersion(), "\n", ", ") }

// moduleVersion returns the program's name with the module's version and, if the build
// recorded them, the revision and its date.
func moduleVersion(info *debug.BuildInfo) string {
	setting := map[string]string{}
	for _, s := range info.Settings {
		setting[s.Key] = s.Value
	}
	version := strings.Trim(info.Main.Version, "()")
	if version == "" {
		version = "devel"
	}
	text := "diffusioninst " + version
	if revision := setting["vcs.revision"]; revision != "" {
		text += ", revision " + revision
		if date, _, _ := strings.Cut(setting["vcs.time"], "T"); date != "" {
			text += " of " + date
		}
		if setting["vcs.modified"] == "true" {
			text += ", with local changes"
		}
	}
	return text
}
