// Package backbone turns pictures into feature pyramids: ResNet and the Feature
// Pyramid Network, behind an interface that a user's own network can implement.
package backbone
