// Package ike talks to the IKE daemons that own SAs: it asks what is theirs, and has them set Child SAs up at other addresses.
package ike
