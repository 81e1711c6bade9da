//go:build ignore

// Command reading reads the pictures named on standard input, a path per line, and brings each to
// the size of a network's input. It prints the milliseconds that this took, of the clock and of
// all processors: see reading.py.
package main

import (
	"bufio"
	"fmt"
	"log"
	"os"
	"runtime"
	"syscall"
	"time"

	"github.com/diffusioninst/go/picture"
)

func main() {
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		runtime.GC()
		start, used := time.Now(), processors()
		img, err := picture.Open(lines.Text(), picture.Options{})
		if err != nil {
			log.Fatal(err)
		}
		w, h := picture.ShortestEdge(img.Bounds().Dx(), img.Bounds().Dy(), 800, 1333)
		picture.ResizeImage(img, w, h)
		fmt.Println(milliseconds(time.Since(start)), milliseconds(processors()-used))
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// processors returns the time of all processors so far.
func processors() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		log.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
