package coco

import (
	"math"
	"strconv"
)

const maxNumber = 512 // characters

var pow10 = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// digits returns the text of the number that comes next and the place where
// it ends; its decimal digits as an integer if they are few, and how many of them
// are behind the point.
func (s *scanner) digits() (token []byte, mantissa uint64, fraction int, simple bool, err error) {
	s.peek()
	for len(s.buf)-s.pos < maxNumber && s.fill() {
	}
	b := s.buf[s.pos:min(len(s.buf), s.pos+maxNumber)]
	at := func(i int) byte {
		if i < len(b) {
			return b[i]
		}
		return 0
	}
	i := 0
	if at(0) == '-' {
		i++
	}
	start := i
	for c := at(i) - '0'; c <= 9; c = at(i) - '0' {
		mantissa = mantissa*10 + uint64(c)
		i++
	}
	whole := i - start
	if whole == 0 || whole > 1 && b[start] == '0' {
		return nil, 0, 0, false, s.unexpected("a number")
	}
	if at(i) == '.' {
		i++
		point := i
		for c := at(i) - '0'; c <= 9; c = at(i) - '0' {
			mantissa = mantissa*10 + uint64(c)
			i++
		}
		if fraction = i - point; fraction == 0 {
			return nil, 0, 0, false, s.failf("a number ends with a point")
		}
	}
	simple = whole+fraction <= 15
	if c := at(i); c == 'e' || c == 'E' {
		simple = false
		i++
		if c := at(i); c == '+' || c == '-' {
			i++
		}
		from := i
		for c := at(i) - '0'; c <= 9; c = at(i) - '0' {
			i++
		}
		if i == from {
			return nil, 0, 0, false, s.failf("a number has an empty exponent")
		}
	}
	if i >= maxNumber {
		return nil, 0, 0, false, s.failf("a number of more than %d characters", maxNumber)
	}
	return b[:i], mantissa, fraction, simple, nil
}

// number reads a finite number.
func (s *scanner) number() (float64, error) {
	token, mantissa, fraction, simple, err := s.digits()
	if err != nil {
		return 0, err
	}
	var v float64
	if simple {
		// Both are exact, so the one rounding of the division is correct.
		v = float64(mantissa) / pow10[fraction]
		if token[0] == '-' {
			v = -v
		}
	} else if v, err = strconv.ParseFloat(string(token), 64); err != nil {
		return 0, s.failf("%s is beyond what a float64 holds", token)
	}
	s.pos += len(token)
	return v, nil
}

// integer reads a whole number. One with a point or an exponent is accepted if
// its value is whole, as some tools write ids.
func (s *scanner) integer() (int64, error) {
	token, mantissa, fraction, simple, err := s.digits()
	if err != nil {
		return 0, err
	}
	var v int64
	if simple && fraction == 0 {
		if v = int64(mantissa); token[0] == '-' {
			v = -v
		}
	} else if v, err = strconv.ParseInt(string(token), 10, 64); err != nil {
		f, ferr := strconv.ParseFloat(string(token), 64)
		if ferr != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
			return 0, s.failf("%s is not a whole number", token)
		}
		v = int64(f)
	}
	s.pos += len(token)
	return v, nil
}
