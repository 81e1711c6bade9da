//go:build cgo

package main

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTrainProgressLines(t *testing.T) {
	var out bytes.Buffer
	p := newTrainProgress(&out, 100, 106, 2)
	require.Nil(t, p.bar, "a buffer is not a terminal")
	now := time.Now()
	p.now = func() time.Time { return now }
	for done := 101; done <= 106; done++ {
		p.step(done, 8, 3, 2.5e-5, 20*time.Second, time.Second)
		now = now.Add(40 * time.Second) // in half of them the next step is made, in half evaluation
		if done == 103 {
			p.clear()
			p.evaluated(0.4321)
		}
	}
	require.Equal(t, []string{
		"step 101 of 106  loss 3  learning rate 2.5e-05  0.4 pictures/s  1m40s left",
		"step 102 of 106  loss 3  learning rate 2.5e-05  0.4 pictures/s  2m00s left",
		"step 104 of 106  loss 3  learning rate 2.5e-05  0.4 pictures/s  1m10s left  AP 43.2",
		"step 106 of 106  loss 3  learning rate 2.5e-05  0.4 pictures/s  AP 43.2",
	}, strings.Split(strings.TrimSpace(out.String()), "\n"))
}

func TestTrainProgressForgets(t *testing.T) {
	var out bytes.Buffer
	p := newTrainProgress(&out, 0, 1000, 1000)
	p.step(1, 4, 90, 1, time.Second, 0)
	p.step(2, 4, 10, 1, time.Second, 0)
	require.InDelta(t, 49.6, p.loss/p.weight, 0.01, "a mean, a little nearer to the later one")
	for done := 3; done <= 1000; done++ {
		p.step(done, 4, 2, 1, time.Second/4, time.Second/8)
	}
	require.Contains(t, out.String(), "step 1000 of 1000  loss 2  learning rate 1  16 pictures/s (50% waiting for them)\n")
}

func TestTrainProgressBar(t *testing.T) {
	var out bytes.Buffer
	p := newTrainProgress(&out, 50, 100, 10)
	p.bar = trainBar(&out, 100)
	p.step(51, 4, 1.5, 1e-4, time.Minute, 0)
	p.step(75, 60, 1.5, 1e-4, time.Minute, 0)
	shown := out.String()
	require.Contains(t, shown, "75% |")
	require.Contains(t, shown, "(75/100)")
	require.Contains(t, shown, "loss 1.5  learning rate 0.0001  0.538 pictures/s  1m00s left")
	require.NotContains(t, shown, "\n")
	p.clear()
	require.Greater(t, out.Len(), len(shown), "the line is wiped")
	p.step(100, 4, math.Inf(1), 1e-4, time.Second, 0)
}

func TestRoughly(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 59 * time.Second: "59s", 61500 * time.Millisecond: "1m02s", 3599 * time.Second: "59m59s",
		time.Hour: "1h00m", 100*time.Hour + 29*time.Second: "100h00m", 90*time.Minute + 31*time.Second: "1h31m",
	} {
		require.Equal(t, want, roughly(d))
	}
}
