#include "slipway/cli/demo_trips.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <iterator>

#include "slipway/base/clock.h"
#include "slipway/base/file.h"

namespace slipway {
namespace {

// SplitMix64 (Steele, Lea, Flood 2014): the same numbers on every platform, which std distributions
// do not promise.
class Random {
 public:
  // Mixed once: seeds that follow each other must not give sequences that are shifted by one.
  explicit Random(uint64_t seed) : state_(Mix(seed + 0x632BE59BD9B4E019u)) {}
  double Uniform() {
    state_ += 0x9E3779B97F4A7C15u;
    return static_cast<double>(Mix(state_) >> 11) * 0x1.0p-53;
  }
  // Near normal by twelve uniforms: no transcendental function, so the same bits with every C
  // library.
  double Normal() {
    double sum = -6;
    for (int i = 0; i < 12; ++i) sum += Uniform();
    return sum;
  }
  int Below(int n) { return std::min(n - 1, static_cast<int>(Uniform() * n)); }

 private:
  static uint64_t Mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  uint64_t state_;
};

struct Place {
  double longitude, latitude, spread, weight;
};
constexpr Place kPlaces[] = {
    {-73.985, 40.758, 0.012, 30},  // Midtown
    {-74.005, 40.715, 0.010, 16},  // Downtown
    {-73.960, 40.778, 0.011, 18},  // Upper East Side
    {-73.977, 40.790, 0.011, 14},  // Upper West Side
    {-73.990, 40.735, 0.010, 14},  // Village
    {-73.945, 40.812, 0.013, 5},   // Harlem
    {-73.955, 40.690, 0.025, 8},   // Brooklyn
    {-73.925, 40.750, 0.022, 6},   // Queens
    {-73.872, 40.774, 0.003, 5},   // LaGuardia
    {-73.782, 40.644, 0.004, 4},   // JFK
};
constexpr int kJfk = 9, kLaGuardia = 8, kFirstOutside = 6;

int PickPlace(Random* random, double drift) {
  double total = 0;
  double weights[std::size(kPlaces)];
  for (size_t i = 0; i < std::size(kPlaces); ++i) {
    weights[i] = kPlaces[i].weight * (i >= kLaGuardia ? 1 + 2 * drift : 1);
    total += weights[i];
  }
  double at = random->Uniform() * total;
  for (size_t i = 0; i < std::size(kPlaces); ++i) {
    at -= weights[i];
    if (at < 0) return static_cast<int>(i);
  }
  return 0;
}

struct Trip {
  int64_t pickup = 0;  // seconds since 1970
  double from_lon = 0, from_lat = 0, to_lon = 0, to_lat = 0;
  int passengers = 1;
  const char* payment = "";
  double fare = 0;
};

// Cents, as a meter shows them.
double Cents(double dollars) { return std::round(dollars * 100) / 100; }

int PickHour(Random* random, double drift) {
  static constexpr int kWeights[24] = {38, 28, 20, 14, 10, 9,  20, 36, 46, 47, 45, 46,
                                       49, 49, 50, 48, 41, 49, 60, 63, 59, 58, 57, 50};
  double total = 0;
  for (int h = 0; h < 24; ++h) total += kWeights[h] * (h < 6 || h >= 20 ? 1 + drift : 1);
  double at = random->Uniform() * total;
  for (int h = 0; h < 24; ++h) {
    at -= kWeights[h] * (h < 6 || h >= 20 ? 1 + drift : 1);
    if (at < 0) return h;
  }
  return 23;
}

Trip MakeTrip(const DemoTrips& trips, int64_t first_day, int64_t days, Random* random) {
  Trip trip;
  const int64_t day =
      first_day + static_cast<int64_t>(random->Uniform() * static_cast<double>(days));
  const int hour = PickHour(random, trips.drift);
  trip.pickup = day * 86400 + hour * 3600 + random->Below(3600);
  const int weekday = static_cast<int>((day + 4) % 7);  // 0 = Sunday
  const int from = PickPlace(random, trips.drift);
  int to = PickPlace(random, trips.drift);
  if (from == to && from >= kLaGuardia) to = 0;
  trip.from_lon = kPlaces[from].longitude + kPlaces[from].spread * random->Normal();
  trip.from_lat = kPlaces[from].latitude + kPlaces[from].spread * random->Normal();
  trip.to_lon = kPlaces[to].longitude + kPlaces[to].spread * random->Normal();
  trip.to_lat = kPlaces[to].latitude + kPlaces[to].spread * random->Normal();
  static constexpr int kPassengers[] = {1, 1, 1, 1, 1, 1, 1, 2, 2, 3, 4, 5, 6};
  trip.passengers = kPassengers[random->Below(13)];
  trip.payment = random->Uniform() < 0.6 ? "card" : random->Uniform() < 0.97 ? "cash" : "dispute";

  // Streets: the grid makes a ride longer than the straight line. Miles; one degree is 69.0 / 52.3
  // miles here.
  const double dx = std::abs(trip.to_lon - trip.from_lon) * 52.3,
               dy = std::abs(trip.to_lat - trip.from_lat) * 69.0;
  const double miles = (dx + dy) * std::max(0.5, 0.9 + 0.14 * random->Normal());
  const bool weekend = weekday == 0 || weekday == 6;
  const bool rush = !weekend && hour >= 16 && hour < 20;
  const bool night = hour >= 20 || hour < 6;
  const bool busy = !weekend && hour >= 7 && hour < 20;
  // The meter also runs while the taxi stands: slower streets cost more.
  const double minutes_waiting =
      std::max(0.0, miles * (busy ? 1.6 : 0.5) * (1 + 0.8 * random->Normal()));
  double fare = 2.5 + 2.5 * std::max(0.2, miles) + 0.5 * minutes_waiting + (rush ? 1.0 : 0.0) +
                (night ? 0.5 : 0.0);
  const bool manhattan_from = from < kFirstOutside, manhattan_to = to < kFirstOutside;
  if ((from == kJfk && manhattan_to) || (to == kJfk && manhattan_from)) {
    fare = 52 + (rush ? 4.5 : 0);  // the flat fare between Manhattan and JFK
    if (random->Uniform() < 0.4) fare += 5.54;
  } else if ((from >= kFirstOutside) != (to >= kFirstOutside) && random->Uniform() < 0.35) {
    fare += 5.54;  // a tolled bridge or tunnel
  }
  fare *= 1 + 0.12 * trips.drift;
  trip.fare = Cents(std::max(2.5, fare + 1.2 * random->Normal()));
  return trip;
}

// About 1.5 % of rows are wrong in the ways real ones are.
void Spoil(Trip* trip, Random* random) {
  switch (random->Below(5)) {
    case 0:  // the meter ran, the taxi did not
      trip->to_lon = trip->from_lon;
      trip->to_lat = trip->from_lat;
      break;
    case 1:
      trip->fare = -trip->fare;
      break;
    case 2:
      trip->from_lon = trip->from_lat = trip->to_lon = trip->to_lat = 0;
      break;
    case 3:
      trip->passengers = 0;
      break;
    default:
      trip->fare = Cents(trip->fare * 20 + 300);
      break;
  }
}

}  // namespace

Status WriteDemoTrips(const DemoTrips& trips, const std::string& path) {
  using std::chrono::sys_days;
  const auto january = [](int year) {
    return sys_days(std::chrono::year(year) / std::chrono::January / 1).time_since_epoch().count();
  };
  const int64_t first_day = january(trips.first_year);
  const int64_t days = january(trips.first_year + trips.years) - first_day;
  Random random(trips.seed);
  std::string text =
      "key,pickup_datetime,pickup_longitude,pickup_latitude,dropoff_longitude,dropoff_latitude,"
      "passenger_count,payment_type";
  text += trips.with_fare ? ",fare_amount\n" : "\n";
  char line[256];
  for (int64_t i = 0; i < trips.rows; ++i) {
    Trip trip = MakeTrip(trips, first_day, days, &random);
    if (random.Uniform() < 0.015) Spoil(&trip, &random);
    const std::string time = FormatTimestamp(trip.pickup * 1'000'000);
    const int n = std::snprintf(line, sizeof line, "T%lld-%07lld,%s,%.6f,%.6f,%.6f,%.6f,%d,%s",
                                static_cast<long long>(trips.seed), static_cast<long long>(i),
                                time.c_str(), trip.from_lon, trip.from_lat, trip.to_lon,
                                trip.to_lat, trip.passengers, trip.payment);
    text.append(line, static_cast<size_t>(n));
    if (trips.with_fare) {
      const int m = std::snprintf(line, sizeof line, ",%.2f", trip.fare);
      text.append(line, static_cast<size_t>(m));
    }
    text += '\n';
  }
  return WriteFileAtomic(path, text);
}

}  // namespace slipway
