// Package data brings pictures with their objects to a training run.
package data
