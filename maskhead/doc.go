// Package maskhead makes masks: the mask branch turns a feature pyramid into mask
// features once a picture, and the dynamic mask head turns an instance's filter
// into its mask (conditional convolutions, Tian et al. 2020).
package maskhead
