// Package feature defines features, the graph they form and their versions.
package feature
