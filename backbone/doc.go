// Package backbone computes feature pyramids of pictures with a ResNet or a Swin
// Transformer below a Feature Pyramid Network. A network of your own implements
// [Backbone]; see [Builder].
package backbone
