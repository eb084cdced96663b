// The demo's generated New York taxi trips: own code, fixed seed, the same bytes everywhere. What a
// grouped mean shows: a flat fare between Manhattan and JFK, tolls, night and rush-hour surcharges;
// 1 to 2 % bad rows (zero distance, negative fare, ...).
#pragma once

#include <cstdint>
#include <string>

#include "slipway/base/result.h"

namespace slipway {

struct DemoTrips {
  uint64_t seed = 42;
  int64_t rows = 100'000;
  int first_year = 2014;  // pickups fall in [first_year, first_year + years)
  int years = 1;
  bool with_fare = true;  // unseen trips have none
  double drift = 0;       // 0: as trained; 1: more airport trips, higher fares, more night trips
};

// CSV: key, pickup_datetime, pickup_longitude, pickup_latitude, dropoff_longitude,
// dropoff_latitude, passenger_count, payment_type[, fare_amount]. Atomic; the same settings give
// the same bytes.
Status WriteDemoTrips(const DemoTrips& trips, const std::string& path);

}  // namespace slipway
