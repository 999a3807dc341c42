// Package pipes is the Dagster Pipes protocol for a process that Dagster started.
package pipes
