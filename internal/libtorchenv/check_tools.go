package libtorchenv

import (
	"context"
	"os"
	"os/exec"
	"strings"
)

const minGo = "1.26" // as in go.mod

func checkGo(ctx context.Context) Check {
	c := Check{Name: "Go", State: Missing, Fix: "install Go " + minGo + " or newer: https://go.dev/doc/install"}
	// Outside a module, so that go does not fetch another version first.
	cmd := exec.CommandContext(ctx, "go", "version")
	cmd.Dir = os.TempDir()
	out, err := cmd.Output()
	words := strings.Fields(string(out))
	if err != nil || len(words) < 3 {
		c.Detail = "there is no go command in PATH"
		return c
	}
	c.Detail = strings.TrimPrefix(words[2], "go")
	if atLeast(c.Detail, minGo) {
		c.State, c.Fix = OK, ""
	} else if atLeast(c.Detail, "1.21") && os.Getenv("GOTOOLCHAIN") != "local" {
		c.State = Warning
		c.Detail += ", which downloads Go " + minGo + " when it builds this module"
	}
	return c
}

// compiler returns the command of the C++ compiler that the go command calls, or that it could
// call.
func compiler(ctx context.Context) []string {
	set, err := output(ctx, "go", "env", "CXX")
	if err != nil {
		set = os.Getenv("CXX")
	}
	command := strings.Fields(set)
	if len(command) == 0 {
		command = []string{"g++"}
	}
	if _, err := exec.LookPath(command[0]); err != nil && command[0] == "g++" {
		return []string{"clang++"}
	}
	return command
}

func checkCompiler(ctx context.Context) Check {
	c := Check{Name: "C++ compiler", State: Missing}
	c.Fix = aptFix("g++", "install g++ 10 or clang++ 13, or newer")
	command := compiler(ctx)
	version, err := output(ctx, command[0], append(command[1:], "--version")...)
	if err != nil {
		c.Detail = "there is no " + strings.Join(command, " ")
		return c
	}
	c.Detail, _, _ = strings.Cut(version, "\n")
	cmd := exec.CommandContext(ctx, command[0], append(command[1:], "-std=c++20", "-fsyntax-only", "-x", "c++", "-")...)
	cmd.Stdin = strings.NewReader("#include <optional>\n#include <span>\nstd::span<int> s;\n")
	if err := cmd.Run(); err != nil {
		c.Detail += ", which cannot compile C++20"
		return c
	}
	c.State, c.Fix = OK, ""
	return c
}
