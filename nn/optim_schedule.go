package nn

import "math"

// An LRSchedule is the learning rate of every step, counted from 0, as a factor of the
// base rate.
type LRSchedule interface {
	// Factor returns the factor of a step.
	Factor(step int) float64
}

// An LRScheduleFunc is a function as an LRSchedule.
type LRScheduleFunc func(step int) float64

// Factor returns f(step), and 1 if f is nil.
func (f LRScheduleFunc) Factor(step int) float64 {
	if f == nil {
		return 1
	}
	return f(step)
}

// ConstantRate is the base rate in every step.
type ConstantRate struct{}

// Factor returns 1.
func (ConstantRate) Factor(int) float64 { return 1 }

// MultiStep multiplies the rate by Gamma at each milestone.
type MultiStep struct {
	Milestones []int // steps
	Gamma      float64
}

// Factor returns Gamma to the power of the number of milestones that have passed.
func (m MultiStep) Factor(step int) float64 {
	f := 1.0
	for _, at := range m.Milestones {
		if step >= at {
			f *= m.Gamma
		}
	}
	return f
}

// Cosine falls from 1 to End along half a cosine (Loshchilov, Hutter 2017).
type Cosine struct {
	Steps int     // of the whole run; at and after the last the factor is End
	End   float64 // of the base rate
}

// Factor returns End + (1−End)·(1+cos(π·step/Steps))/2.
func (c Cosine) Factor(step int) float64 {
	if step >= c.Steps {
		return c.End
	}
	return c.End + (1-c.End)*(1+math.Cos(math.Pi*float64(step)/float64(c.Steps)))/2
}

// Warmup rises from From times the schedule's first factor to what the schedule has
// at step Steps, linearly, and then follows the schedule.
type Warmup struct {
	Steps    int
	From     float64
	Schedule LRSchedule // nil is ConstantRate
}

// Factor returns the factor of Schedule after the first Steps steps.
func (w Warmup) Factor(step int) float64 {
	then := w.Schedule
	if then == nil {
		then = ConstantRate{}
	}
	if step >= w.Steps {
		return then.Factor(step)
	}
	from := w.From * then.Factor(0)
	return from + (then.Factor(w.Steps)-from)*float64(step)/float64(w.Steps)
}
