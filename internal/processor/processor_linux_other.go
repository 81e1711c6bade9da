//go:build linux && !amd64

package processor

func hasAMX() bool { return false }
