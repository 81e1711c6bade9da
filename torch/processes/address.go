package processes

import (
	"fmt"
	"net"
	"os"
	"strings"
)

// facing returns the address of this machine that reaches a host: what the machine's own name resolves
// to is often 127.0.0.1. Nothing is sent.
func facing(address string) (net.IP, error) {
	c, err := net.Dial("udp", address)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).IP, nil
}

// ownAddress returns the address of this process for the others, at first.
func ownAddress(store string) (net.IP, error) {
	if names := os.Getenv("GLOO_SOCKET_IFNAME"); names != "" {
		name, _, _ := strings.Cut(names, ",")
		i, err := net.InterfaceByName(name)
		if err != nil {
			return nil, fmt.Errorf("GLOO_SOCKET_IFNAME is %q: %w", names, err)
		}
		list, err := i.Addrs()
		if err != nil {
			return nil, err
		}
		for _, a := range list {
			if n, ok := a.(*net.IPNet); ok && !n.IP.IsLinkLocalUnicast() {
				return n.IP, nil
			}
		}
		return nil, fmt.Errorf("GLOO_SOCKET_IFNAME is %q, which has no address", names)
	}
	return facing(store)
}

// outward returns the address that all others reach. The machine of the store finds itself at
// 127.0.0.1; others on it do too. If a process is elsewhere, the address is the one that faces it.
func outward(own net.IP, all []string) (net.IP, error) {
	if !own.IsLoopback() {
		return own, nil
	}
	for _, other := range all {
		if ip := net.ParseIP(other); ip != nil && !ip.IsLoopback() {
			return facing(net.JoinHostPort(other, "9"))
		}
	}
	return own, nil
}
