// Package backbone turns pictures into feature pyramids: a ResNet or a Swin
// Transformer below a Feature Pyramid Network, behind an interface that a user's own
// network can implement.
package backbone
